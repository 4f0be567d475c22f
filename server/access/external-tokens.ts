import { errors, type JWTPayload, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../oci/errors.ts'
import type { Granted } from './actor.ts'
import type { ExternalKeys, KeySet } from './external-keys.ts'
import { grantsOf } from './grants.ts'
import { graceMs } from './tokens.ts'

/** Bearer tokens that a service of someone else's gives out (distribution's token specification). */
export interface ExternalTokens {
  /**
   * The bearer of a token; of one that has ended less than a day ago too, of which `endsAt` tells. Without a promise where
   * it was seen before.
   * @throws RegistryError UNAUTHORIZED for every other text
   */
  verify(token: string): Granted | Promise<Granted>
}

export interface ExternalTokensOptions {
  keys: ExternalKeys
  /** What has to stand in `iss`, and in `aud`. */
  issuer: string
  service: string
  /** Signatures that are taken; with none, all that are safe. */
  algorithms: readonly string[]
}

const safe = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'EdDSA']
/** Clocks may differ by so many seconds, as in distribution. */
const leeway = 60
/** Tokens that were verified are remembered, so that a pull pays for its signature once. */
const remembered = { max: 5000, maxSize: 16 * 1024 * 1024 }

export function createExternalTokens({ keys, issuer, service, algorithms }: ExternalTokensOptions): ExternalTokens {
  const verified = new LRUCache<string, Granted>({ ...remembered, sizeCalculation: (_granted, token) => token.length })
  /** What the remembered ones were verified with. */
  let verifiedWith: KeySet | undefined

  async function verifyOnce(token: string, set: KeySet): Promise<Granted> {
    try {
      const { payload } = await jwtVerify(
        token,
        async header => {
          const key = await set.find(header)
          if (key === undefined) throw new errors.JWKSNoMatchingKey()
          return key
        },
        {
          issuer,
          audience: service,
          algorithms: algorithms.length === 0 ? safe : [...algorithms],
          requiredClaims: ['exp'],
          clockTolerance: leeway + graceMs / 1000,
        },
      )
      // The grace is for its end alone.
      if (payload.nbf !== undefined && payload.nbf - leeway > Date.now() / 1000) throw notValid()
      const granted = bearerOf(payload)
      if (set === verifiedWith) verified.set(token, granted)
      return granted
    } catch (error) {
      if (error instanceof RegistryError) throw error
      // All that can go wrong here is in the token: what the parsers of keys and certificates throw has no class in common.
      throw notValid(error)
    }
  }

  return {
    verify(token) {
      const set = keys.current()
      if (set !== verifiedWith) verified.clear()
      verifiedWith = set
      const known = verified.get(token)
      if (known !== undefined && known.endsAt + graceMs > Date.now()) return known
      return verifyOnce(token, set)
    },
  }
}

function bearerOf({ sub, exp, access }: JWTPayload): Granted {
  return {
    kind: 'granted',
    name: sub ?? '',
    grants: grantsOf(access),
    accountId: undefined,
    endsAt: (Number(exp) + leeway) * 1000,
  }
}

function notValid(cause?: unknown): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: 'the token is not valid here', cause })
}
