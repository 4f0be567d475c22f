import { type Queryable, statement } from './database.ts'

const insert = statement(
  'refresh_tokens.insert',
  `insert into refresh_tokens (hash, account_id, client_id, expires_at) values ($1, $2, $3, $4)`,
)

export async function insertRefreshToken(
  db: Queryable,
  token: { hash: Buffer; account: number; clientId: string | undefined; expiresAt: Date },
): Promise<void> {
  await db.change(insert, [token.hash, token.account, token.clientId, token.expiresAt])
}

const touch = statement(
  'refresh_tokens.touch',
  `update refresh_tokens set last_accessed_at = now(), expires_at = $2 where hash = $1`,
)

/** Writes down that one was used, and how long it is good from now on. */
export async function touchRefreshToken(db: Queryable, hash: Buffer, expiresAt: Date): Promise<void> {
  await db.change(touch, [hash, expiresAt])
}

const removeOf = statement('refresh_tokens.remove_of', `delete from refresh_tokens where account_id = $1`)

/** Ends all of an account, as a new password does. */
export async function removeRefreshTokensOf(db: Queryable, account: number): Promise<void> {
  await db.change(removeOf, [account])
}
