import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Database } from '../metadata/database.ts'
import {
  type CredentialsRow,
  findByToken,
  findCredentials,
  noteAccess,
  type TokenRow,
} from '../metadata/credentials.ts'
import { findRights, type RightsRow } from '../metadata/rights.ts'
import type { Logger } from '../lib/log.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Account, Action, Anonymous, Power, Rights, Scopes, Visible } from './actor.ts'
import { type BasicCredentials, parseAuthorization } from './basic.ts'
import type { EncryptedPasswords } from './encrypted-passwords.ts'
import type { Guard } from './guard.ts'
import type { LoginLimits } from './login-limits.ts'
import { type AccountPolicy, createMay, effectiveRole, hasRole, hasScope, reachesAll } from './may.ts'
import type { Passwords } from './passwords.ts'
import { impliedScopes } from './scopes.ts'
import { hashOf, isSame, type Secrets } from './secrets.ts'
import type { Tokens } from './tokens.ts'

/** The guard of a registry with accounts: and by whom an account is told, for whoever needs more than a request's sender. */
export interface AccountsGuard extends Guard {
  /**
   * The account of a name and a secret, whichever kind of secret the name announces (`$app`, `$oauthtoken`, a robot's
   * `namespace+name`, a user's password).
   * @throws RegistryError UNAUTHORIZED, TOOMANYREQUESTS
   */
  login(credentials: BasicCredentials, from: LoginFrom): Promise<Account>
  /** The account of an OAuth token. @throws RegistryError UNAUTHORIZED */
  loginByOAuthToken(token: string, about?: RepositoryName): Promise<Account>
  /**
   * Those of the actions that someone may do in a repository, by one query; `*` is for its admins, and for others all that
   * they may.
   */
  allowed(
    actor: Account | Anonymous,
    repository: RepositoryName,
    wanted: readonly (Action | '*')[],
  ): Promise<(Action | '*')[]>
  /** The account of a row. @throws RegistryError UNAUTHORIZED when it is disabled */
  accountOf(row: CredentialsRow, options: { scopes: Scopes; about?: RepositoryName | undefined }): Account
  /** What a user may beyond the user's own, by the configuration and by the row. */
  powerOf(user: { name: string; superuser: boolean }): Power
}

export interface LoginFrom {
  /** By which failures are counted. */
  address: string
  about?: RepositoryName | undefined
}

export interface AccountsGuardOptions {
  database: Database
  passwords: Passwords
  encryptedPasswords: EncryptedPasswords
  limits: LoginLimits
  tokens: Tokens
  /** Opens the tokens of robots. */
  secrets: Secrets
  policy: AccountPolicy
  powers: Powers
  log: Logger
}

/** Names that the configuration gives power to. */
export interface Powers {
  superusers: ReadonlySet<string>
  readers: ReadonlySet<string>
}

/** An account's or a token's use is written down once in so long. */
const notedKept = { max: 10_000, ttl: 60_000 }

export function createAccountsGuard(options: AccountsGuardOptions): AccountsGuard {
  const { database, passwords, encryptedPasswords, limits, tokens, secrets, policy, powers, log } = options
  const noted = new LRUCache<string, true>(notedKept)
  const find = async (account: number | undefined, repository: RepositoryName): Promise<Rights> =>
    rightsOf(await findRights(database, repository, account))

  function accountOf(
    row: CredentialsRow,
    { scopes, about }: { scopes: Scopes; about?: RepositoryName | undefined },
  ): Account {
    if (!row.enabled) throw disabled()
    return {
      kind: 'account',
      id: row.id,
      name: row.name,
      robot: row.kind === 'robot',
      namespaceId: row.namespace_id,
      power: powerOf(row, powers),
      scopes,
      known: about === undefined ? undefined : { repository: about, rights: rightsOf(row) },
    }
  }

  /** Not waited for: it is of no use to the request. */
  function note(account: number, token?: { kind: 'app' | 'oauth'; id: string }): void {
    const key = `${account} ${token?.id ?? ''}`
    if (noted.has(key)) return
    noted.set(key, true)
    noteAccess(database, { account, token }).catch((error: unknown) => log.warn({ err: error }, 'access not noted'))
  }

  /** Undefined when there is no such token, or it is over. */
  async function byToken(
    kind: 'app' | 'oauth',
    token: string,
    about: RepositoryName | undefined,
  ): Promise<Account | undefined> {
    const row = await findByToken(database, kind, hashOf(token), about)
    if (row === undefined || isOver(row)) return undefined
    const account = accountOf(row, { scopes: row.scopes === null ? 'all' : impliedScopes(row.scopes), about })
    note(row.id, { kind, id: row.token_id })
    return account
  }

  async function byRobotToken({ name, secret }: BasicCredentials, about: RepositoryName | undefined) {
    const row = await findRow(name, about)
    const token = row?.robot_token ?? undefined
    const right = isSame(token === undefined ? randomUUID() : secrets.decrypt(token), secret)
    if (row === undefined || token === undefined || !right) return undefined
    const account = accountOf(row, { scopes: 'all', about })
    note(row.id)
    return account
  }

  async function byPassword({ name, secret }: BasicCredentials, { address, about }: LoginFrom): Promise<Account> {
    const row = await findRow(name, about)
    const password = encryptedPasswords.open(secret) ?? secret
    const hash = row?.password_hash ?? undefined
    const known = hash !== undefined && passwords.isKnown(password, hash)
    // It takes as long where there is no such user.
    if (!known && !(await limits.attempt(name, address, () => passwords.verify(password, hash)))) throw wrong()
    if (row === undefined) throw wrong()
    const account = accountOf(row, { scopes: 'all', about })
    note(row.id)
    return account
  }

  /** Postgres has no text with a NUL in it, and so no account of such a name. */
  async function findRow(name: string, about: RepositoryName | undefined): Promise<CredentialsRow | undefined> {
    return name.includes('\0') ? undefined : findCredentials(database, name, about)
  }

  const login: AccountsGuard['login'] = async (credentials, from) => {
    const { name, secret } = credentials
    const drawn = drawnKind(name)
    if (drawn === undefined) return byPassword(credentials, from)
    // Secrets that were drawn can't be guessed: who has the right one never waits for others who try.
    const account = await (drawn === 'robot'
      ? byRobotToken(credentials, from.about)
      : byToken(drawn, secret, from.about))
    if (account !== undefined) return account
    await limits.attempt(name, from.address, async () => false)
    throw wrong()
  }

  const may = createMay({ accounts: { find, policy } })

  return {
    challenge: { scheme: 'Bearer', realm: undefined, service: tokens.service },
    may,
    login,
    async loginByOAuthToken(token, about) {
      const account = await byToken('oauth', token, about)
      if (account === undefined) throw wrong()
      return account
    },
    accountOf,
    powerOf: ({ name, superuser }) => powerOf({ kind: 'user', name, superuser }, powers),

    async allowed(actor, repository, wanted) {
      const rights = await find(actor.kind === 'account' ? actor.id : undefined, repository)
      const decide = createMay({ accounts: { find: async () => rights, policy } })
      const isAdmin =
        actor.kind === 'account' &&
        hasScope(actor, 'repo:admin') &&
        rights.visibility !== undefined &&
        hasRole(effectiveRole(actor, { rights, policy }), 'admin')
      // For others `*` is all that they may.
      const asked = new Set(
        wanted.flatMap((action): readonly (Action | '*')[] => (action === '*' && !isAdmin ? every : [action])),
      )
      const allowed: (Action | '*')[] = []
      for (const action of asked) {
        if (action === '*' || (await decide(actor, action, repository))) allowed.push(action)
      }
      return allowed
    },

    identify(caller, about) {
      const authorization = parseAuthorization(caller.authorization)
      switch (authorization.scheme) {
        case 'none':
          return { kind: 'anonymous' }
        case 'bearer':
          return tokens.verify(authorization.token)
        case 'basic':
          return login(authorization, { address: caller.address, about })
        case 'unknown':
          throw wrong()
        default:
          return authorization satisfies never
      }
    },

    visible(actor) {
      const everyone: Visible = { kind: 'account', id: undefined, public: true }
      switch (actor.kind) {
        case 'anonymous':
          return policy.anonymous ? everyone : undefined
        case 'granted':
          return actor.grants.catalog ? { kind: 'all' } : visibleTo(actor.accountId, policy)
        case 'account':
          if (!hasScope(actor, 'repo:read')) return undefined
          return reachesAll(actor, policy) ? { kind: 'all' } : { kind: 'account', id: actor.id, public: true }
        case 'everyone':
        case 'named':
          return undefined
        default:
          return actor satisfies never
      }
    },
  }
}

function visibleTo(id: number | undefined, policy: AccountPolicy): Visible | undefined {
  return id === undefined && !policy.anonymous ? undefined : { kind: 'account', id, public: true }
}

function rightsOf(row: RightsRow): Rights {
  return {
    visibility: row.visibility ?? undefined,
    state: row.state ?? undefined,
    role: row.role ?? undefined,
    namespace: row.namespace_kind ?? undefined,
    creates: row.creates,
  }
}

const every: readonly Action[] = ['pull', 'push', 'delete']

/** Whose secret it is that was drawn by the registry, as the name says; undefined for a user's, who chose a password. */
function drawnKind(name: string): 'oauth' | 'app' | 'robot' | undefined {
  if (name === '$oauthtoken') return 'oauth'
  if (name === '$app') return 'app'
  // No user has a name with a plus in it.
  return name.includes('+') ? 'robot' : undefined
}

/** Who may read all and write nothing stays so, also as a superuser. */
function powerOf(
  { kind, name, superuser }: Pick<CredentialsRow, 'kind' | 'name' | 'superuser'>,
  { superusers, readers }: Powers,
): Power {
  if (kind === 'robot') return 'none'
  if (readers.has(name)) return 'reader'
  return superuser || superusers.has(name) ? 'superuser' : 'none'
}

function isOver({ expires_at }: TokenRow): boolean {
  return expires_at !== null && expires_at.getTime() <= Date.now()
}

/** The same whatever is wrong. */
function wrong(): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: 'the user name or the secret is wrong' })
}

/** Said to those alone who have shown the right secret. */
function disabled(): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: 'this account is disabled' })
}
