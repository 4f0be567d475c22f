import { randomUUID } from 'node:crypto'
import { type CryptoKey, decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Action, Granted } from './actor.ts'
import { grantsOf } from './grants.ts'
import type { SigningKeys } from './signing-keys.ts'

/** Bearer tokens of Berth's own (`/v2/auth`). */
export interface Tokens {
  /** What goes into `aud`, and what a client has to ask for as `service`. */
  readonly service: string
  issue(wish: TokenWish): Promise<IssuedToken>
  /**
   * The bearer of a token that one of the processes on this database gave out; one that has ended less than a day ago
   * too, of which `endsAt` tells. Without a promise where it was seen before.
   * @throws RegistryError UNAUTHORIZED for every other text
   */
  verify(token: string): Granted | Promise<Granted>
}

export interface TokenWish {
  /** Empty for anyone. */
  name: string
  accountId: number | undefined
  grants: readonly RepositoryGrant[]
  catalog: boolean
}

export interface RepositoryGrant {
  repository: RepositoryName
  actions: readonly (Action | '*')[]
}

export interface IssuedToken {
  token: string
  issuedAt: Date
  /** Seconds. */
  expiresIn: number
}

export interface TokensOptions {
  keys: SigningKeys
  service: string
  /** Milliseconds. */
  lifetimeMs: number
}

/** An upload goes on for so long after the token has ended that it was begun with. */
export const graceMs = 24 * 3600_000
/** Clocks of processes may differ by so many seconds. */
const leeway = 30
/** Tokens that were verified are remembered, so that a pull pays for its signature once. */
const remembered = 5000

const issuer = 'berth'

export function createTokens({ keys, service, lifetimeMs }: TokensOptions): Tokens {
  const verified = new LRUCache<string, { token: string; granted: Granted }>({ max: remembered })
  const expiresIn = Math.ceil(lifetimeMs / 1000)

  async function verifyOnce(token: string): Promise<Granted> {
    const id = keyIdOf(token)
    const key = id === undefined ? undefined : await keys.find(id)
    if (key === undefined) throw notValid()
    const payload = await verifiedBy(key, token)
    if (Number(payload.iat) > Date.now() / 1000 + leeway) throw notValid()
    const granted = bearerOf(payload)
    verified.set(keyOf(token), { token, granted })
    return granted
  }

  async function verifiedBy(key: CryptoKey, token: string): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, key, {
        issuer,
        audience: service,
        algorithms: ['ES256', 'RS256'],
        requiredClaims: ['exp', 'iat'],
        clockTolerance: leeway + graceMs / 1000,
      })
      return payload
    } catch (error) {
      // A TypeError for a key that is not of the algorithm that the token names.
      throw error instanceof errors.JOSEError || error instanceof TypeError ? notValid(error) : error
    }
  }

  return {
    service,

    async issue({ name, accountId, grants, catalog }) {
      const { id, key } = await keys.current()
      const issuedAt = new Date()
      const now = Math.floor(issuedAt.getTime() / 1000)
      const access = [
        ...grants.map(({ repository, actions }) => ({ type: 'repository', name: repository, actions: [...actions] })),
        ...(catalog ? [{ type: 'registry', name: 'catalog', actions: ['*'] }] : []),
      ]
      const token = await new SignJWT({ access, ...(accountId === undefined ? {} : { account: accountId }) })
        .setProtectedHeader({ alg: key.algorithm.name === 'ECDSA' ? 'ES256' : 'RS256', kid: id, typ: 'JWT' })
        .setIssuer(issuer)
        .setSubject(name)
        .setAudience(service)
        .setIssuedAt(now)
        .setNotBefore(now)
        .setExpirationTime(now + expiresIn)
        .setJti(randomUUID())
        .sign(key)
      return { token, issuedAt, expiresIn }
    },

    verify(token) {
      const known = verified.get(keyOf(token))
      if (known?.token === token && known.granted.endsAt + graceMs > Date.now()) return known.granted
      return verifyOnce(token)
    },
  }
}

/** A part of the signature: to compare two tokens is quicker than to compute the hash of one. */
function keyOf(token: string): string {
  return token.slice(-32)
}

/** The id of the key that a token says it was signed with; undefined for what is no token. */
function keyIdOf(token: string): string | undefined {
  try {
    const kid: unknown = decodeProtectedHeader(token).kid
    return typeof kid === 'string' ? kid : undefined
  } catch {
    return undefined
  }
}

function bearerOf({ sub, exp, access, account }: Record<string, unknown>): Granted {
  return {
    kind: 'granted',
    name: typeof sub === 'string' ? sub : '',
    accountId: typeof account === 'number' ? account : undefined,
    grants: grantsOf(access),
    endsAt: (Number(exp) + leeway) * 1000,
  }
}

function notValid(cause?: unknown): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: 'the token is not valid here', cause })
}
