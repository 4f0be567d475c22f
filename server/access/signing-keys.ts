import { setTimeout as sleep } from 'node:timers/promises'
import { calculateJwkThumbprint, type CryptoKey, exportJWK, generateKeyPair, importJWK } from 'jose'
import type { Database } from '../metadata/database.ts'
import { findNewestKey, insertKey, listKeys, type SigningKeyRow } from '../metadata/signing-keys.ts'
import { createSecrets } from './secrets.ts'

/** The keys that Bearer tokens are signed with, which all processes on a database share. */
export interface SigningKeys {
  /** The key to sign with. */
  current(): Promise<{ id: string; key: CryptoKey }>
  /** The key of that id, to verify with; undefined when there is none, or none any more. */
  find(id: string): Promise<CryptoKey | undefined>
}

export interface SigningKeysOptions {
  database: Database
  algorithm: 'ES256' | 'RS256'
  /** `auth.accounts.secretkey` */
  secretKey: string
  /** Milliseconds for which a token may be used in all, so long is its key kept. */
  tokenMs: number
}

/** A key signs for a day; the next is made an hour before, by whoever notices first. */
const signsMs = 24 * 3600_000
const renewMs = 3600_000
/** An id is the SHA-256 of its key (RFC 7638). */
const idPattern = /^[\w-]{43}$/
/** For ids that are not known the database is looked at once in so long: who makes them up is not to keep it busy. */
const lookEveryMs = 1000

export function createSigningKeys({ database, algorithm, secretKey, tokenMs }: SigningKeysOptions): SigningKeys {
  const secrets = createSecrets(secretKey, 'signing-keys')
  const known = new Map<string, { key: CryptoKey; expiresAt: number }>()
  let signing: { id: string; key: CryptoKey; until: number } | undefined
  let making: Promise<{ id: string; key: CryptoKey; until: number }> | undefined

  async function load(): Promise<{ id: string; key: CryptoKey; until: number }> {
    const row = (await findNewestKey(database, algorithm)) ?? (await make())
    const loaded = await privateKeyOf(row)
    if (row.signs_until.getTime() - Date.now() > renewMs) return loaded
    return privateKeyOf(await make())
  }

  async function privateKeyOf(row: SigningKeyRow): Promise<{ id: string; key: CryptoKey; until: number }> {
    const jwk: unknown = JSON.parse(secrets.decrypt(row.private_key))
    return { id: row.id, key: await imported(jwk, row.algorithm), until: row.signs_until.getTime() - renewMs }
  }

  async function make(): Promise<SigningKeyRow> {
    const pair = await generateKeyPair(algorithm, { extractable: true })
    const publicKey = await exportJWK(pair.publicKey)
    const signsUntil = new Date(Date.now() + signsMs)
    const row = {
      id: await calculateJwkThumbprint(publicKey),
      algorithm,
      public_key: { ...publicKey },
      private_key: secrets.encrypt(JSON.stringify(await exportJWK(pair.privateKey))),
      signs_until: signsUntil,
      expires_at: new Date(signsUntil.getTime() + tokenMs),
    }
    await insertKey(database, row)
    return row
  }

  let nextLook: Promise<void> | undefined
  let lastLook = -Infinity

  /** Learns the keys that other processes have made; all who ask before it begins share one look. */
  function look(): Promise<void> {
    nextLook ??= (async () => {
      await sleep(Math.max(0, lastLook + lookEveryMs - performance.now()), undefined, { ref: false })
      nextLook = undefined
      lastLook = performance.now()
      for (const { id, public_key, algorithm, expires_at } of await listKeys(database))
        known.set(id, { key: await imported(public_key, algorithm), expiresAt: expires_at.getTime() })
    })()
    return nextLook
  }

  function livingKey(id: string): CryptoKey | undefined {
    const found = known.get(id)
    if (found !== undefined && found.expiresAt > Date.now()) return found.key
    known.delete(id)
    return undefined
  }

  return {
    async current() {
      if (signing !== undefined && signing.until > Date.now()) return signing
      making ??= load().finally(() => (making = undefined))
      signing = await making
      return signing
    },

    async find(id) {
      if (!idPattern.test(id)) return undefined
      const found = livingKey(id)
      if (found !== undefined) return found
      await look()
      return livingKey(id)
    },
  }
}

async function imported(jwk: unknown, algorithm: string): Promise<CryptoKey> {
  const key = await importJWK(jwk as Parameters<typeof importJWK>[0], algorithm)
  if (key instanceof Uint8Array) throw new TypeError('a signing key is no key pair')
  return key
}
