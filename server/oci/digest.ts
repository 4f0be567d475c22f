import { createHash, type Hash } from 'node:crypto'
import type { Branded } from './brand.ts'
import { RegistryError } from './errors.ts'

/** `algorithm:encoded`, for the two algorithms that the image specification registers: sha256 and sha512. */
export type Digest = Branded<'Digest'>

export const digestAlgorithms = ['sha256', 'sha512'] as const
export type DigestAlgorithm = (typeof digestAlgorithms)[number]

const encodedPatterns: Record<DigestAlgorithm, RegExp> = { sha256: /^[0-9a-f]{64}$/, sha512: /^[0-9a-f]{128}$/ }

export function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return text === 'sha256' || text === 'sha512'
}

export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(':')
  const algorithm = text.slice(0, colon)
  return colon > 0 && isDigestAlgorithm(algorithm) && encodedPatterns[algorithm].test(text.slice(colon + 1))
}

/** @throws RegistryError DIGEST_INVALID, with a reason that helps. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  const colon = text.indexOf(':')
  const algorithm = text.slice(0, Math.max(colon, 0))
  const reason =
    colon < 0
      ? 'a digest is written algorithm:encoded'
      : isDigestAlgorithm(algorithm)
        ? `a ${algorithm} digest has ${algorithm === 'sha256' ? 64 : 128} lower-case hexadecimal digits`
        : `the algorithm must be one of ${digestAlgorithms.join(', ')}`
  throw new RegistryError('DIGEST_INVALID', {
    message: `invalid digest: ${reason}`,
    detail: { digest: text.slice(0, 200) },
  })
}

/** The part before the colon. */
export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The part after the colon. */
export function encodedOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** A hash under way, whose end is a Digest. */
export interface Digester {
  readonly algorithm: DigestAlgorithm
  update(bytes: Uint8Array): void
  /** The digest of what came so far; the hash can go on. */
  digest(): Digest
  /** The same state, which from here on goes its own way. */
  copy(): Digester
}

export function createDigester(algorithm: DigestAlgorithm, hash: Hash = createHash(algorithm)): Digester {
  return {
    algorithm,
    update: bytes => void hash.update(bytes),
    digest: () => parseDigest(`${algorithm}:${hash.copy().digest('hex')}`),
    copy: () => createDigester(algorithm, hash.copy()),
  }
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  const digester = createDigester(algorithm)
  digester.update(bytes)
  return digester.digest()
}
