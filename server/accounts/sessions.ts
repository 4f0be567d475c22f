import { randomBytes } from 'node:crypto'
import type { Account } from '../access/actor.ts'
import type { AccountsGuard } from '../access/accounts-guard.ts'
import { hashOf, isSame } from '../access/secrets.ts'
import { findCredentialsById } from '../metadata/credentials.ts'
import type { Database } from '../metadata/database.ts'
import {
  findSession,
  insertSession,
  refreshSession,
  removeEndedLogins,
  removeSessionsOf,
} from '../metadata/sessions.ts'
import { AccountError } from './errors.ts'

/** A session of a browser, as a request shows it. */
export interface Session {
  account: Account
  /** What a request that changes something has to say in `X-CSRF-Token`. */
  csrfToken: string
  /** Whether the password was entered lately. */
  fresh: boolean
}

export interface NewSession {
  /** What the cookie is to have. */
  cookie: string
  csrfToken: string
}

export interface Sessions {
  /** Begins one. */
  begin(account: Account): Promise<NewSession>
  /** The session of a cookie, if it is one that is going on, of an account that may log in. */
  find(cookie: string): Promise<Session | undefined>
  /** The password of its user was entered again. */
  refresh(cookie: string): Promise<void>
  /** Ends all sessions of an account, as Quay's sign-out does. */
  endAll(account: number): Promise<void>
  /** Takes away what has ended: sessions, recovery codes, refresh tokens. */
  removeEnded(this: void): Promise<void>
  /** Seconds. */
  readonly lifetime: number
}

export interface SessionsOptions {
  database: Database
  guard: AccountsGuard
  /** Milliseconds: how long one lasts, and for how long after the password was entered it counts as fresh. */
  lifetimeMs: number
  freshMs: number
}

export function createSessions({ database, guard, lifetimeMs, freshMs }: SessionsOptions): Sessions {
  const lifetime = Math.ceil(lifetimeMs / 1000)
  return {
    lifetime,
    async begin(account) {
      const cookie = randomBytes(32).toString('base64url')
      const csrfToken = randomBytes(32).toString('base64url')
      await insertSession(database, {
        hash: hashOf(cookie),
        account: account.id,
        csrfToken,
        lifetimeSeconds: lifetime,
      })
      return { cookie, csrfToken }
    },

    async find(cookie) {
      const row = await findSession(database, hashOf(cookie))
      const credentials = row && (await findCredentialsById(database, row.account_id, undefined))
      if (row === undefined || !credentials?.enabled) return undefined
      return {
        account: guard.accountOf(credentials, { scopes: 'all' }),
        csrfToken: row.csrf_token,
        fresh: Date.now() - row.authenticated_at.getTime() < freshMs,
      }
    },

    refresh: cookie => refreshSession(database, hashOf(cookie)),
    removeEnded: () => removeEndedLogins(database),
    endAll: account => removeSessionsOf(database, account),
  }
}

/** @throws AccountError when a request of a session that changes something does not show its token */
export function checkCsrf(session: Session, token: string | undefined): void {
  if (token === undefined || !isSame(token, session.csrfToken))
    throw new AccountError('insufficient_scope', 'CSRF token was invalid or missing.')
}
