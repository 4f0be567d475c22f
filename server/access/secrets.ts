import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  randomBytes,
  randomInt,
  timingSafeEqual,
} from 'node:crypto'

/** How secrets are kept that someone may look at again: encrypted by a key that the database does not have. */
export interface Secrets {
  encrypt(text: string): Buffer
  /** @throws Error for what this key did not encrypt */
  decrypt(sealed: Buffer): string
}

/** AES-256-GCM: a nonce of 12 bytes, a tag of 16, and what was encrypted. */
const nonceBytes = 12
const tagBytes = 16

/**
 * @param key any text that is hard to guess (`auth.accounts.secretkey`)
 * @param purpose keeps what is encrypted for one thing from being taken for another
 */
export function createSecrets(key: string, purpose: string): Secrets {
  const derived = Buffer.from(hkdfSync('sha256', key, 'berth', purpose, 32))
  return {
    encrypt(text) {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', derived, nonce)
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), body])
    },
    decrypt(sealed) {
      try {
        const decipher = createDecipheriv('aes-256-gcm', derived, sealed.subarray(0, nonceBytes), {
          authTagLength: tagBytes,
        })
        decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes))
        return decipher.update(sealed.subarray(nonceBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8')
      } catch (error) {
        const message = 'a secret of the database was encrypted by another key: set auth.accounts.secretkey as it was'
        throw new Error(message, { cause: error })
      }
    },
  }
}

/** What a secret that was made by `randomSecret` is kept as, and found by. */
export function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Whether two secrets are the same, in a time that tells nothing of where they differ. */
export function isSame(a: string, b: string): boolean {
  return timingSafeEqual(hashOf(a), hashOf(b))
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

/** A secret of capital letters and digits, 5 bits and more each: 40 of them for an access token, 64 for a robot's, as in Quay. */
export function randomSecret(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
}
