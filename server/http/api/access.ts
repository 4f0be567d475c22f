import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Account, Actor, Role, Scope } from '../../access/actor.ts'
import type { AccountsGuard } from '../../access/accounts-guard.ts'
import { parseAuthorization } from '../../access/basic.ts'
import { effectiveRole, hasRole, hasScope, reachesAll } from '../../access/may.ts'
import { AccountError, notFound } from '../../accounts/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import type { AccessedRepository } from '../../accounts/repositories.ts'
import { checkCsrf, type Session } from '../../accounts/sessions.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { AccessOptions } from '../access.ts'
import { pathParameter } from '../v2/parameters.ts'

/**
 * Who may use a route of the REST API. Every route says it, or the server does not start.
 * - `anyone`: no one is asked, though who shows something wrong is refused.
 * - `client`: an OAuth application, which shows its own secret; the route itself looks at it.
 * - `visitor`: whoever may look at what is public: no one is asked for a name, where the registry is open to those without
 *   an account; a token, if it is one, has the scope.
 * - `user`: a user (not a robot), whose token, if it is one, has the scope.
 * - `repository`: whoever has the role in the repository of the path's `repository`; reading is open where it is public.
 *   With `content`, what is in it is changed: not while it is read-only.
 * - `organization`: a member or an admin of the organization of the path's `organization`.
 * - `superuser`: a superuser; where the route only reads, a read-only superuser as well.
 * While the registry is read-only, nothing can be changed but with `always`; with `deletes`, it is as `storage.delete.enabled` says.
 * With `fresh`, the password must have been entered lately where the request comes by a browser's session.
 */
export type ApiAccess =
  | { for: 'anyone'; always?: true }
  | { for: 'client' }
  | { for: 'visitor'; scope: Scope }
  | { for: 'user'; scope: Scope; fresh?: boolean; always?: true }
  | { for: 'repository'; role: Role; content?: boolean; deletes?: true; fresh?: boolean }
  | { for: 'organization'; role: 'member' | 'admin'; fresh?: boolean }
  | { for: 'superuser'; fresh?: boolean }

declare module 'fastify' {
  interface FastifyContextConfig {
    api?: ApiAccess
  }
  interface FastifyRequest {
    /** The browser's session, where the request came by one. */
    session: Session | undefined
    /** The repository of the path, where the route is for one. */
    repository: AccessedRepository | undefined
  }
}

export const sessionCookie = 'berth_session'
const safe = new Set(['GET', 'HEAD', 'OPTIONS'])

export interface ApiAccessOptions {
  guard: AccountsGuard
  accounts: Accounts
  /** What the operator has switched off. */
  switches: AccessOptions
}

/** Has every route declare its access, and refuses who may not use it before the body is read. */
export function requireApiAccess(app: FastifyInstance, { guard, accounts, switches }: ApiAccessOptions): void {
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.api === undefined) throw new Error(`${String(method)} ${url} declares no access`)
  })
  if (!app.hasRequestDecorator('actor')) app.decorateRequest('actor')
  app.decorateRequest('session', undefined)
  app.decorateRequest('repository', undefined)

  app.addHook('onRequest', async request => {
    const access = request.routeOptions.config.api
    if (access === undefined) return
    if (access.for === 'client') {
      request.actor = { kind: 'anonymous' }
      checkSwitches(request, access, switches)
      return
    }
    const { actor, session } = await identify(request)
    request.actor = actor
    request.session = session
    const unsafe = !safe.has(request.method)
    if (session !== undefined && unsafe && access.for !== 'anyone')
      checkCsrf(session, headerOf(request, 'x-csrf-token'))
    await check(request, access)
    checkSwitches(request, access, switches)
    if ('fresh' in access && access.fresh && session?.fresh === false && unsafe)
      throw new AccountError('fresh_login_required', 'The password has to be entered again: POST /api/v1/signin/verify')
  })

  async function identify(request: FastifyRequest): Promise<{ actor: Actor; session: Session | undefined }> {
    const authorization = parseAuthorization(request.headers.authorization)
    if (authorization.scheme === 'bearer') {
      const actor = await guard.loginByOAuthToken(authorization.token).catch((error: unknown) => {
        throw error instanceof RegistryError && error.code === 'UNAUTHORIZED'
          ? new AccountError('invalid_token', 'The access token is not valid', { cause: error })
          : error
      })
      return { actor, session: undefined }
    }
    // As in Quay, passwords are for signing in and for the registry's own protocol.
    if (authorization.scheme !== 'none')
      throw new AccountError('invalid_token', 'The REST API takes Bearer tokens of OAuth applications, or a session')
    const cookie = request.cookies[sessionCookie]
    const session = cookie === undefined ? undefined : await accounts.sessions.find(cookie)
    return { actor: session?.account ?? { kind: 'anonymous' }, session }
  }

  async function check(request: FastifyRequest, access: ApiAccess): Promise<void> {
    switch (access.for) {
      case 'anyone':
      case 'client':
        return
      case 'visitor':
        if (request.actor.kind === 'account') requireScope(request.actor, access.scope)
        else if (!accounts.policy.anonymous) throw unauthenticated()
        return
      case 'user':
        requireScope(accountOf(request), access.scope)
        return
      case 'superuser': {
        const account = accountOf(request)
        requireScope(account, 'super:user')
        const reads = safe.has(request.method) && account.power === 'reader'
        if (account.power !== 'superuser' && !reads) throw refused()
        return
      }
      case 'organization':
        await checkOrganization(request, access.role)
        return
      case 'repository':
        await checkRepository(request, access)
        return
      default:
        access satisfies never
    }
  }

  async function checkOrganization(request: FastifyRequest, role: 'member' | 'admin'): Promise<void> {
    const account = accountOf(request)
    requireScope(account, 'org:admin')
    const rights = await accounts.organizations.rights(pathParameter(request, 'organization'), account)
    // To those who have nothing to do with it, the same as for one that is not there.
    if (rights === undefined) throw refused()
    const reads = safe.has(request.method)
    if (account.power === 'reader' && reads) return
    if (role === 'admin' ? rights.isAdmin : rights.isMember) return
    throw refused()
  }

  async function checkRepository(
    request: FastifyRequest,
    { role, content = false }: { role: Role; content?: boolean },
  ): Promise<void> {
    const { actor } = request
    const scope = `repo:${role}` as const
    if (actor.kind === 'account') requireScope(actor, scope)
    const rights = await accounts.repositories.rights(pathParameter(request, 'repository'), actor)
    const { found } = rights
    const has = actor.kind === 'account' ? effectiveRole(actor, { rights, policy: accounts.policy }) : readOf(rights)
    if (found !== undefined && (hasRole(has, role) || readsAll(request))) {
      if (content && rights.state !== 'normal')
        throw new AccountError('unavailable', 'The repository is read-only: nothing in it can be changed')
      request.repository = { ...found, role: has }
      return
    }
    if (actor.kind !== 'account') throw unauthenticated()
    // To those without rights it is not there, and they are told the same where it is not.
    const sees = rights.creates || reachesAll(actor, accounts.policy)
    throw found === undefined && sees ? notFound() : refused()
  }

  function readOf({ visibility }: { visibility: string | undefined }): Role | undefined {
    return visibility === 'public' && accounts.policy.anonymous ? 'read' : undefined
  }
}

/** @throws AccountError for what the operator has switched off */
function checkSwitches({ method }: FastifyRequest, access: ApiAccess, { readOnly, deletes }: AccessOptions): void {
  const always = 'always' in access && access.always
  if (readOnly && !safe.has(method) && !always)
    throw new AccountError('read_only', 'This registry is read-only at the moment (storage.maintenance.readonly)')
  if (!deletes && 'deletes' in access && access.deletes)
    throw new AccountError('invalid_request', 'Deleting is switched off in this registry (storage.delete.enabled)')
}

function readsAll({ actor, method }: FastifyRequest): boolean {
  return actor.kind === 'account' && actor.power === 'reader' && safe.has(method)
}

/** The repository of a route that is for one. */
export function repositoryOf({ repository }: FastifyRequest): AccessedRepository {
  if (repository === undefined) throw new Error('the route is not for a repository')
  return repository
}

/** The account that a request comes from. @throws AccountError for those without one, and for robots */
export function accountOf({ actor }: FastifyRequest): Account {
  if (actor.kind !== 'account') throw unauthenticated()
  if (actor.robot) throw refused()
  return actor
}

function requireScope(account: Account, scope: Scope): void {
  if (!hasScope(account, scope)) throw refused()
}

export function refused(): AccountError {
  return new AccountError('insufficient_scope', 'Unauthorized')
}

export function unauthenticated(): AccountError {
  return new AccountError('invalid_token', 'Requires authentication')
}

function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}
