import { createSecrets } from './secrets.ts'

/**
 * Passwords in a form that may stand in a file of a client: encrypted, so that a reader of the file can log in to this
 * registry but does not learn the password, which may be that of other services as well (Quay's `encrypted_password`).
 */
export interface EncryptedPasswords {
  seal(password: string): string
  /** The password, or undefined when the text is no encrypted one. */
  open(text: string): string | undefined
}

/** Shorter ones can't hold even one letter: nonce and tag are 28 bytes. */
const shortest = 40

export function createEncryptedPasswords(key: string): EncryptedPasswords {
  const secrets = createSecrets(key, 'password')
  return {
    seal: password => secrets.encrypt(JSON.stringify({ password })).toString('base64'),
    open(text) {
      if (text.length < shortest || !/^[A-Za-z0-9+/]+=*$/.test(text)) return undefined
      try {
        const opened: unknown = JSON.parse(secrets.decrypt(Buffer.from(text, 'base64')))
        const password = typeof opened === 'object' && opened !== null ? Reflect.get(opened, 'password') : undefined
        return typeof password === 'string' ? password : undefined
      } catch {
        // It is a password that looks like one.
        return undefined
      }
    },
  }
}
