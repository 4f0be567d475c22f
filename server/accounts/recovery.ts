import { hashOf, randomSecret } from '../access/secrets.ts'
import { findUser, findUserById } from '../metadata/accounts.ts'
import { findRecoveryCode, insertRecoveryCode, takeRecoveryCode } from '../metadata/recovery-codes.ts'
import { invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { checkPassword } from './names.ts'
import { setNewPassword } from './new-password.ts'

/** Recovery of an account whose password is lost, by a code that someone hands over. */
export interface Recovery {
  /** Makes a code for a user. @throws AccountError not_found */
  createCode(name: string): Promise<RecoveryCode>
  /**
   * Sets a new password by a code, which is used up by that. @returns the name of the user
   * @throws AccountError invalid_request for a code that is none (any more), or a password that can't be taken
   */
  recover(code: string, password: string): Promise<string>
}

export interface RecoveryCode {
  email: string | null
  code: string
  expiresAt: Date
}

/** It goes by hand, from whoever made it to whom it is for. */
const lifetimeHours = 24
const codeLength = 40

export function createRecovery({ database, passwords }: AccountsOptions): Recovery {
  return {
    async createCode(name) {
      const user = await findUser(database, name)
      if (user === undefined) throw notFound()
      const code = randomSecret(codeLength)
      const expiresAt = new Date(Date.now() + lifetimeHours * 3600_000)
      await insertRecoveryCode(database, { hash: hashOf(code), account: user.id, expiresAt })
      return { email: user.email, code, expiresAt }
    },

    async recover(code, password) {
      const hash = hashOf(code)
      const account = await findRecoveryCode(database, hash)
      const user = account === undefined ? undefined : await findUserById(database, account)
      if (user === undefined) throw notValid()
      checkPassword(password)
      const passwordHash = await passwords.hash(password)
      await database.transaction(async tx => {
        if (!(await takeRecoveryCode(tx, hash))) throw notValid()
        await setNewPassword(tx, user.id, passwordHash)
      })
      return user.name
    },
  }
}

function notValid(): Error {
  return invalid('The recovery code is not valid, or it was used, or it is too old')
}
