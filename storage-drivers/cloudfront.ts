import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { getSignedUrl } from '@aws-sdk/cloudfront-signer'
import type { StorageDriver } from './driver.ts'

export interface CloudFrontOptions {
  /** Where the distribution is: `https://d111111abcdef8.cloudfront.net`, with a path or without; https when it does not say. */
  baseUrl: string
  /** The id that CloudFront has given the public key. */
  keyPairId: string
  /** The file of the private key: RSA, PEM, without a passphrase. */
  privateKeyFile: string
  /**
   * What stands before an object's key in the paths of the distribution: the driver's root directory, or nothing where
   * the distribution has that as its origin path.
   */
  folder: string
  /** Milliseconds for which its URLs are good; what is asked for when left out. */
  expiresMs?: number | undefined
}

/**
 * A driver whose objects are served by Amazon CloudFront: `signUrl` gives URLs of the distribution, signed with a canned
 * policy, so that they lead to one object until they expire. Where another endpoint is asked for, the URL is the
 * driver's own: that is for clients who are to go to the store.
 * @throws Error with what to do when the private key can't be used
 */
export function withCloudFront(driver: StorageDriver, options: CloudFrontOptions): StorageDriver {
  const { keyPairId, privateKeyFile, folder } = options
  const base = options.baseUrl.includes('://') ? options.baseUrl : `https://${options.baseUrl}`
  const root = [base.replace(/\/+$/, ''), ...segmentsOf(folder)].join('/')
  const privateKey = readKey(privateKeyFile)

  function sign(key: string, expiresMs: number): string {
    const url = `${root}/${segmentsOf(key).join('/')}`
    const dateLessThan = new Date(Date.now() + (options.expiresMs ?? expiresMs)).toISOString()
    return getSignedUrl({ url, keyPairId, privateKey, dateLessThan })
  }

  // A key that OpenSSL does not sign with is to be found now.
  try {
    sign('check', 1000)
  } catch (error) {
    throw unusable(privateKeyFile, error)
  }
  return {
    ...driver,
    async signUrl(key, asked) {
      if (asked.endpoint !== undefined && driver.signUrl !== undefined) return driver.signUrl(key, asked)
      return sign(key, asked.expiresMs)
    },
  }
}

/** The parts of a path, as they stand in a URL. */
function segmentsOf(path: string): string[] {
  return path
    .split('/')
    .filter(part => part !== '')
    .map(encodeURIComponent)
}

function readKey(file: string): string | Buffer {
  let key: KeyObject
  try {
    key = createPrivateKey(readFileSync(file))
  } catch (error) {
    throw unusable(file, error)
  }
  if (key.asymmetricKeyType !== 'rsa') throw unusable(file, new Error(`it is of the kind ${key.asymmetricKeyType}`))
  return key.export({ type: 'pkcs8', format: 'pem' })
}

function unusable(file: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error)
  return new Error(
    `the private key for CloudFront, ${file}, can not be used (${reason}): give the path of an RSA key in PEM without a passphrase, which Berth's user can read`,
    { cause: error },
  )
}
