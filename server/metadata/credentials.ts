import { namespaceOf, type RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'
import { rightsColumns, type RightsRow } from './rights.ts'

/** An account as one who logs in to it is measured by, with its rights in the repository that was asked about. */
export interface CredentialsRow extends RightsRow {
  id: number
  kind: 'user' | 'robot'
  name: string
  namespace_id: number
  enabled: boolean
  superuser: boolean
  /** Of a user who has a password: bcrypt. */
  password_hash: string | null
  /** Of a robot: encrypted. */
  robot_token: Buffer | null
}

/** By what an account was found besides its name. */
export interface TokenRow extends CredentialsRow {
  token_id: string
  /** Null where it is good for ever. */
  expires_at: Date | null
  /** What an OAuth token is good for; null for others. */
  scopes: string[] | null
}

/** Whether an account `a` may log in: a robot with its user, if it is a user's. */
const isEnabled = `
  (a.enabled and (a.kind = 'user' or not exists
    (select from accounts o where o.namespace_id = a.namespace_id and o.kind = 'user' and not o.enabled)))`
const columns = `
  a.id, a.kind, a.name, a.namespace_id, ${isEnabled} as enabled, coalesce(u.superuser, false) as superuser,
  u.password_hash, b.token as robot_token, ${rightsColumns}`
const tables = `
  left join users u on u.account_id = a.id
  left join robots b on b.account_id = a.id
  left join repositories r on r.name = $1 and r.deleted_at is null
  left join namespaces n on n.name = $2`

const byName = statement('credentials.by_name', `select ${columns} from accounts a ${tables} where a.name = $3`)
const byId = statement('credentials.by_id', `select ${columns} from accounts a ${tables} where a.id = $3`)
const byAppToken = statement(
  'credentials.by_app_token',
  `select ${columns}, t.id as token_id, t.expires_at, null as scopes
     from app_tokens t join accounts a on a.id = t.account_id ${tables} where t.hash = $3`,
)
const byOAuthToken = statement(
  'credentials.by_oauth_token',
  `select ${columns}, t.id as token_id, t.expires_at, t.scopes
     from oauth_tokens t join accounts a on a.id = t.account_id ${tables} where t.hash = $3`,
)
const byRefreshToken = statement(
  'credentials.by_refresh_token',
  `select ${columns}, encode(t.hash, 'hex') as token_id, t.expires_at, null as scopes
     from refresh_tokens t join accounts a on a.id = t.account_id ${tables} where t.hash = $3`,
)

/** The account of a name, and what it may in a repository: one statement for a whole request. */
export function findCredentials(
  db: Queryable,
  name: string,
  about: RepositoryName | undefined,
): Promise<CredentialsRow | undefined> {
  return db.row<CredentialsRow>(byName, [...asked(about), name])
}

/** As `findCredentials`, of an account that is known already. */
export function findCredentialsById(
  db: Queryable,
  id: number,
  about: RepositoryName | undefined,
): Promise<CredentialsRow | undefined> {
  return db.row<CredentialsRow>(byId, [...asked(about), id])
}

const statements = { app: byAppToken, oauth: byOAuthToken, refresh: byRefreshToken }

/** The account of a token, found by its SHA-256, whether it is over or not. */
export function findByToken(
  db: Queryable,
  kind: 'app' | 'oauth' | 'refresh',
  hash: Buffer,
  about: RepositoryName | undefined,
): Promise<TokenRow | undefined> {
  return db.row<TokenRow>(statements[kind], [...asked(about), hash])
}

function asked(about: RepositoryName | undefined): (string | null)[] {
  return about === undefined ? [null, null] : [about, namespaceOf(about)]
}

/** How late an account is written down as having come, so that a pull writes nothing most of the time. */
const accessEverySeconds = 60

const touchAccount = statement(
  'credentials.touch_account',
  `update accounts set last_accessed_at = now()
    where id = $1 and (last_accessed_at is null or last_accessed_at < now() - make_interval(secs => ${accessEverySeconds}))`,
)
const touchApp = statement(
  'credentials.touch_app',
  `update app_tokens set last_accessed_at = now() where id = $1::uuid`,
)
const touchOAuth = statement(
  'credentials.touch_oauth',
  `update oauth_tokens set last_accessed_at = now() where id = $1::uuid`,
)

/** Writes down that an account, or one of its tokens, was used just now. */
export async function noteAccess(
  db: Queryable,
  { account, token }: { account: number; token?: { kind: 'app' | 'oauth'; id: string } | undefined },
): Promise<void> {
  await db.change(touchAccount, [account])
  if (token !== undefined) await db.change(token.kind === 'app' ? touchApp : touchOAuth, [token.id])
}
