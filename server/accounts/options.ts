import type { AccountsGuard } from '../access/accounts-guard.ts'
import type { EncryptedPasswords } from '../access/encrypted-passwords.ts'
import type { AccountPolicy } from '../access/may.ts'
import type { Passwords } from '../access/passwords.ts'
import type { Secrets } from '../access/secrets.ts'
import type { Database } from '../metadata/database.ts'
import type { RepositoryChanges } from '../registry/repositories.ts'

/** Settings of `auth.accounts` that operations heed. */
export interface AccountSettings {
  /** Whether anyone may make an account of their own. */
  userCreation: boolean
  /** Whether the first user may be made by a request (`POST /api/v1/user/initialize`). */
  initialize: boolean
  /** Whether who is no member of an organization has to agree to join a team of it. */
  teamInvites: boolean
  /** Whether what a push makes is private. */
  createPrivateRepositoryOnPush: boolean
  /** For how long an application-specific token is good; for ever when undefined. */
  appTokenMs: number | undefined
  sessionMs: number
  freshLoginMs: number
}

/** What operations on accounts work with. */
export interface AccountsOptions {
  database: Database
  /** Through which repositories are deleted. */
  changes: RepositoryChanges
  guard: AccountsGuard
  passwords: Passwords
  encryptedPasswords: EncryptedPasswords
  secrets: Secrets
  policy: AccountPolicy
  settings: AccountSettings
}
