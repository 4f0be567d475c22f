import { type Queryable, statement } from './database.ts'

/** An application-specific token: a user's own, in the password's place. */
export interface AppTokenRow {
  id: string
  title: string
  /** Encrypted. */
  token: Buffer
  created_at: Date
  expires_at: Date | null
  last_accessed_at: Date | null
}

const columns = 'id, title, token, created_at, expires_at, last_accessed_at'

/** More of them no user can have, so that a list of all is bounded. */
export const mostAppTokens = 500

const insert = statement(
  'app_tokens.insert',
  `insert into app_tokens (account_id, title, hash, token, expires_at)
   select $1, $2, $3, $4, $5
    where (select count(*) from app_tokens where account_id = $1 and (expires_at is null or expires_at > now())) < ${mostAppTokens}
   returning ${columns}`,
)

export interface NewAppToken {
  account: number
  title: string
  hash: Buffer
  /** Encrypted. */
  token: Buffer
  /** Undefined: it is good for ever. */
  expiresAt: Date | undefined
}

/** @returns undefined when the user has all that one can have */
export function insertAppToken(db: Queryable, token: NewAppToken): Promise<AppTokenRow | undefined> {
  const { account, title, hash, token: sealed, expiresAt } = token
  return db.row<AppTokenRow>(insert, [account, title, hash, sealed, expiresAt])
}

const list = statement(
  'app_tokens.list',
  `select ${columns} from app_tokens
    where account_id = $1 and (expires_at is null or expires_at > now()) and ($2::timestamptz is null or expires_at <= $2)
    order by created_at, id limit ${mostAppTokens}`,
)

/** Those of a user that are good. @param expiringBefore only those that end until then */
export function listAppTokens(
  db: Queryable,
  account: number,
  expiringBefore: Date | undefined,
): Promise<AppTokenRow[]> {
  return db.rows<AppTokenRow>(list, [account, expiringBefore])
}

const find = statement(
  'app_tokens.find',
  `select ${columns} from app_tokens
    where account_id = $1 and id = $2::uuid and (expires_at is null or expires_at > now())`,
)

export function findAppToken(db: Queryable, account: number, id: string): Promise<AppTokenRow | undefined> {
  return db.row<AppTokenRow>(find, [account, id])
}

const remove = statement('app_tokens.remove', `delete from app_tokens where account_id = $1 and id = $2::uuid`)

/** @returns whether it was there */
export async function removeAppToken(db: Queryable, account: number, id: string): Promise<boolean> {
  return (await db.change(remove, [account, id])) > 0
}
