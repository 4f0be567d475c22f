import type { Database } from '../metadata/database.ts'
import { findByToken } from '../metadata/credentials.ts'
import { insertRefreshToken, touchRefreshToken } from '../metadata/refresh-tokens.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { AccountsGuard } from './accounts-guard.ts'
import type { Account, Action, Anonymous } from './actor.ts'
import type { BasicCredentials } from './basic.ts'
import { type AccountPolicy, hasScope, reachesAll } from './may.ts'
import { hashOf, randomSecret } from './secrets.ts'
import type { TokenScope } from './token-scopes.ts'
import type { IssuedToken, RepositoryGrant, Tokens } from './tokens.ts'

/** Gives out Bearer tokens for the registry's API (`/v2/auth`). */
export interface TokenService {
  readonly service: string
  /**
   * A token with as much of the scopes as its bearer may have: less than was asked for is no error.
   * @throws RegistryError UNAUTHORIZED for wrong credentials, and for none where nothing could be given for them;
   *   TOOMANYREQUESTS
   */
  give(wish: GiveWish): Promise<GivenToken>
}

export interface GiveWish {
  by: { kind: 'password'; credentials: BasicCredentials } | { kind: 'refresh'; token: string } | { kind: 'nothing' }
  scopes: readonly TokenScope[]
  /** Whether the client wants a refresh token, to keep in the password's place. */
  offline: boolean
  clientId: string | undefined
  /** Where the client is, by which failures are counted. */
  address: string
}

export interface GivenToken extends IssuedToken {
  refreshToken: string | undefined
  /** The scopes that were given, as text. */
  scope: string
}

export interface TokenServiceOptions {
  database: Database
  guard: AccountsGuard
  tokens: Tokens
  policy: AccountPolicy
}

/** A refresh token is good for so long after it was used last. */
const refreshDays = 90
const refreshEnd = () => new Date(Date.now() + refreshDays * 24 * 3600_000)
const refreshLength = 64

export function createTokenService({ database, guard, tokens, policy }: TokenServiceOptions): TokenService {
  async function bearerOf({ by, address }: GiveWish): Promise<Account | Anonymous> {
    switch (by.kind) {
      case 'password':
        return guard.login(by.credentials, { address })
      case 'refresh': {
        const hash = hashOf(by.token)
        const row = await findByToken(database, 'refresh', hash, undefined)
        if (row === undefined || row.expires_at === null || row.expires_at.getTime() <= Date.now())
          throw new RegistryError('UNAUTHORIZED', { message: 'the refresh token is not valid; log in again' })
        await touchRefreshToken(database, hash, refreshEnd())
        return guard.accountOf(row, { scopes: 'all' })
      }
      case 'nothing':
        return { kind: 'anonymous' }
      default:
        return by satisfies never
    }
  }

  async function refreshTokenFor(account: Account, clientId: string | undefined): Promise<string> {
    const token = randomSecret(refreshLength)
    await insertRefreshToken(database, {
      hash: hashOf(token),
      account: account.id,
      clientId,
      expiresAt: refreshEnd(),
    })
    return token
  }

  return {
    service: tokens.service,
    async give(wish) {
      const bearer = await bearerOf(wish)
      const { scopes, offline, clientId } = wish
      // Without either there is nothing to say; a client that wants to log in learns that it has to.
      if (bearer.kind === 'anonymous' && (scopes.length === 0 || !policy.anonymous))
        throw new RegistryError('UNAUTHORIZED')
      const grants: RepositoryGrant[] = []
      for (const [repository, wanted] of byRepository(scopes)) {
        const actions = await guard.allowed(bearer, repository, wanted)
        if (actions.length > 0) grants.push({ repository, actions })
      }
      const known = bearer.kind === 'account' ? bearer : undefined
      const reads = known !== undefined && hasScope(known, 'repo:read')
      const catalog = scopes.some(({ type }) => type === 'catalog') && reads && reachesAll(known, policy)
      // The account of a token tells what the catalog shows: not for one whose OAuth token may read nothing.
      const accountId = reads ? known.id : undefined
      const issued = await tokens.issue({ name: known?.name ?? '', accountId, grants, catalog })
      // What is restricted or may end before must not turn into something that is not: passwords alone, and no tokens.
      const byOwnPassword = wish.by.kind === 'password' && wish.by.credentials.name === known?.name && !known.robot
      const mayStay = offline && known !== undefined && byOwnPassword
      return {
        ...issued,
        refreshToken:
          wish.by.kind === 'refresh' ? wish.by.token : mayStay ? await refreshTokenFor(known, clientId) : undefined,
        scope: [
          ...grants.map(({ repository, actions }) => `repository:${repository}:${actions.join(',')}`),
          ...(catalog ? ['registry:catalog:*'] : []),
        ].join(' '),
      }
    },
  }
}

/** What is asked for in each repository; a client may name one several times. */
function byRepository(scopes: readonly TokenScope[]): Map<RepositoryName, (Action | '*')[]> {
  const found = new Map<RepositoryName, (Action | '*')[]>()
  for (const scope of scopes)
    if (scope.type === 'repository')
      found.set(scope.repository, [...(found.get(scope.repository) ?? []), ...scope.actions])
  return found
}
