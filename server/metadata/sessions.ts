import { type Queryable, statement } from './database.ts'

export interface SessionRow {
  account_id: number
  csrf_token: string
  authenticated_at: Date
}

const insert = statement(
  'sessions.insert',
  `insert into sessions (hash, account_id, csrf_token, expires_at)
   values ($1, $2, $3, now() + make_interval(secs => $4))`,
)

export async function insertSession(
  db: Queryable,
  session: { hash: Buffer; account: number; csrfToken: string; lifetimeSeconds: number },
): Promise<void> {
  await db.change(insert, [session.hash, session.account, session.csrfToken, session.lifetimeSeconds])
}

const find = statement(
  'sessions.find',
  `select account_id, csrf_token, authenticated_at from sessions where hash = $1 and expires_at > now()`,
)

export function findSession(db: Queryable, hash: Buffer): Promise<SessionRow | undefined> {
  return db.row<SessionRow>(find, [hash])
}

const refresh = statement('sessions.refresh', `update sessions set authenticated_at = now() where hash = $1`)

/** The password was entered again. */
export async function refreshSession(db: Queryable, hash: Buffer): Promise<void> {
  await db.change(refresh, [hash])
}

const removeOf = statement('sessions.remove_of', `delete from sessions where account_id = $1`)

/** Ends all sessions of an account. */
export async function removeSessionsOf(db: Queryable, account: number): Promise<void> {
  await db.change(removeOf, [account])
}

const removeEnded = statement(
  'sessions.remove_ended',
  `with codes as (delete from recovery_codes where expires_at <= now()),
        grants as (delete from oauth_codes where expires_at <= now()),
        refresh as (delete from refresh_tokens where expires_at <= now())
   delete from sessions where expires_at <= now()`,
)

/** Takes away sessions, recovery codes and refresh tokens that have ended. */
export async function removeEndedLogins(db: Queryable): Promise<void> {
  await db.change(removeEnded)
}
