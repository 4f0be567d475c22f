import { createHash, createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto'
import { calculateJwkThumbprint, type JWK, type JWTHeaderParameters } from 'jose'
import type { Logger } from '../lib/log.ts'
import { parseBundle, verifyChain } from './external-certificates.ts'
import { openFreshFile } from './fresh-file.ts'

/** The keys that an external token service signs with, as the files of the configuration have them. */
export interface ExternalKeys {
  /** As of a second ago at most; the same object for as long as the files say the same. */
  current(this: void): KeySet
}

export interface KeySet {
  /**
   * The key for a token with this header: that of a chain (`x5c`) up to a certificate of the bundle; or the one that is
   * trusted among those that the header tells by value (`jwk`) or by id (`kid`). Undefined when there is none.
   */
  find(header: JWTHeaderParameters): Promise<KeyObject | undefined>
}

export interface ExternalKeysOptions {
  /** The path of a PEM file (`auth.token.rootcertbundle`). */
  rootcertbundle: string | undefined
  /** The path of a JSON Web Key Set (`auth.token.jwks`). */
  jwks: string | undefined
  log: Logger
}

interface TrustedKey {
  key: KeyObject
  /** Its name in the key set. */
  id: string | undefined
  /** The one algorithm that it is for, where the key set says so. */
  algorithm: string | undefined
}

/** Reads the files, which may change from then on. @throws Error with what to do when one can't be used */
export function openExternalKeys({ rootcertbundle, jwks, log }: ExternalKeysOptions): ExternalKeys {
  if (rootcertbundle === undefined && jwks === undefined)
    throw new Error(
      'auth.token: there is no key to verify tokens with: give rootcertbundle, a PEM file of certificates, or jwks, a JSON Web Key Set',
    )
  const bundle =
    rootcertbundle === undefined
      ? undefined
      : openFreshFile({ path: rootcertbundle, setting: 'auth.token.rootcertbundle', read: parseBundle, log })
  const set =
    jwks === undefined ? undefined : openFreshFile({ path: jwks, setting: 'auth.token.jwks', read: parseKeySet, log })
  let from: { roots: unknown; keys: unknown; set: KeySet } | undefined

  return {
    current() {
      const roots = bundle?.current()
      const keys = set?.current()
      if (from === undefined || from.roots !== roots || from.keys !== keys)
        from = { roots, keys, set: createKeySet(roots ?? [], keys ?? []) }
      return from.set
    },
  }
}

function createKeySet(roots: readonly X509Certificate[], listed: readonly TrustedKey[]): KeySet {
  const trusted = [
    ...roots.map(({ publicKey }) => ({ key: publicKey, id: undefined, algorithm: undefined })),
    ...listed,
  ]
  let named: Promise<Map<string, TrustedKey>> | undefined

  async function find(id: string, alg: string): Promise<KeyObject | undefined> {
    named ??= byName(trusted)
    const found = (await named).get(id)
    return found?.algorithm === undefined || found.algorithm === alg ? found?.key : undefined
  }

  return {
    async find({ alg, x5c, jwk, kid }) {
      const signer = Array.isArray(x5c) && x5c.every(isText) ? verifyChain(x5c, roots) : undefined
      if (signer !== undefined) return signer.publicKey
      // By what it is, never by the name that it gives itself: and it is our copy that is used.
      const embedded = jwk === undefined ? undefined : await find(await thumbprintOf(publicKeyOf(jwk)), alg)
      return embedded ?? (kid === undefined ? undefined : find(kid, alg))
    },
  }
}

/** Keys by all ids that tokens may name them by; what a key set calls a key wins. */
async function byName(keys: readonly TrustedKey[]): Promise<Map<string, TrustedKey>> {
  const found = new Map<string, TrustedKey>()
  for (const trusted of keys) {
    found.set(fingerprintOf(trusted.key), trusted)
    // Keys of rare kinds have none.
    const thumbprint = await thumbprintOf(trusted.key).catch(() => undefined)
    if (thumbprint !== undefined) found.set(thumbprint, trusted)
  }
  for (const trusted of keys) if (trusted.id !== undefined) found.set(trusted.id, trusted)
  return found
}

/** RFC 7638, as registry:3 and newer services name keys. */
async function thumbprintOf(key: KeyObject): Promise<string> {
  return calculateJwkThumbprint(key.export({ format: 'jwk' }))
}

/**
 * As libtrust names keys, and so registry:2 and Docker's own services: 240 bits of the SHA-256 of the key's DER, in base32, in
 * groups of four with colons between.
 */
export function fingerprintOf(key: KeyObject): string {
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
  const bits = [...hash.subarray(0, 30)].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const letters = bits.match(/.{5}/g)?.map(five => base32[Number.parseInt(five, 2)]) ?? []
  return letters.join('').match(/.{4}/g)?.join(':') ?? ''
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The keys of a JSON Web Key Set that signatures can be verified with. @throws Error when it is none, or there is none in it */
function parseKeySet(text: string): readonly TrustedKey[] {
  const keys = keysOf(text)
  const usable = keys.filter(({ use }) => use === undefined || use === 'sig')
  if (usable.length === 0) throw new Error('there is no key for signatures in it')
  return usable.map((jwk, index) => {
    try {
      return {
        key: publicKeyOf(jwk),
        id: isText(jwk.kid) ? jwk.kid : undefined,
        algorithm: isText(jwk.alg) ? jwk.alg : undefined,
      }
    } catch (error) {
      throw new Error(`key ${index + 1} in it is none that a signature can be verified with: RSA, EC or OKP`, {
        cause: error,
      })
    }
  })
}

function keysOf(text: string): JWK[] {
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch (error) {
    throw new Error('it is not JSON', { cause: error })
  }
  const keys: unknown = isObject(set) ? set['keys'] : undefined
  if (!Array.isArray(keys) || !keys.every(isObject))
    throw new Error('it is no JSON Web Key Set, which is an object with a list of keys (RFC 7517 section 5)')
  return keys
}

/** @throws Error for what is no public key */
function publicKeyOf(jwk: JWK): KeyObject {
  return createPublicKey({ key: { ...jwk }, format: 'jwk' })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
