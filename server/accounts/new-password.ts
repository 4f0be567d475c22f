import { setPasswordHash } from '../metadata/accounts.ts'
import type { Queryable } from '../metadata/database.ts'
import { removeRecoveryCodesOf } from '../metadata/recovery-codes.ts'
import { removeRefreshTokensOf } from '../metadata/refresh-tokens.ts'
import { removeSessionsOf } from '../metadata/sessions.ts'

/** Gives a user another password; all that the old one has begun ends with it. @param hash bcrypt */
export async function setNewPassword(tx: Queryable, account: number, hash: string): Promise<void> {
  await setPasswordHash(tx, account, hash)
  await endLogins(tx, account)
}

/** Ends the sessions, the refresh tokens and the recovery codes of an account. */
export async function endLogins(tx: Queryable, account: number): Promise<void> {
  await removeSessionsOf(tx, account)
  await removeRefreshTokensOf(tx, account)
  await removeRecoveryCodesOf(tx, account)
}
