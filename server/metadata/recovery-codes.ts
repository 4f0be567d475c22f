import { type Queryable, statement } from './database.ts'

/** Codes by which a user who has lost the password sets a new one. Each is good once; they are found by their SHA-256. */

const insert = statement(
  'recovery_codes.insert',
  `insert into recovery_codes (hash, account_id, expires_at) values ($1, $2, $3)`,
)

export async function insertRecoveryCode(
  db: Queryable,
  { hash, account, expiresAt }: { hash: Buffer; account: number; expiresAt: Date },
): Promise<void> {
  await db.change(insert, [hash, account, expiresAt])
}

const find = statement(
  'recovery_codes.find',
  `select account_id from recovery_codes where hash = $1 and expires_at > now()`,
)

/** The account of a code that is good still. */
export async function findRecoveryCode(db: Queryable, hash: Buffer): Promise<number | undefined> {
  return (await db.row<{ account_id: number }>(find, [hash]))?.account_id
}

const take = statement('recovery_codes.take', `delete from recovery_codes where hash = $1 and expires_at > now()`)

/** Uses a code up. @returns false when another was faster */
export async function takeRecoveryCode(db: Queryable, hash: Buffer): Promise<boolean> {
  return (await db.change(take, [hash])) === 1
}

const removeOf = statement('recovery_codes.remove_of', `delete from recovery_codes where account_id = $1`)

/** Ends all codes of an account. */
export async function removeRecoveryCodesOf(db: Queryable, account: number): Promise<void> {
  await db.change(removeOf, [account])
}
