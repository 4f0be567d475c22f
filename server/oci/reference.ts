import type { Branded } from './brand.ts'
import { type Digest, isDigest, parseDigest } from './digest.ts'
import { RegistryError } from './errors.ts'

export type Tag = Branded<'Tag'>

/** What stands behind `manifests/` in a URL. */
export type Reference = { kind: 'tag'; tag: Tag } | { kind: 'digest'; digest: Digest }

const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

export function isTag(text: string): text is Tag {
  return tagPattern.test(text)
}

/** @throws RegistryError MANIFEST_INVALID: the specification has no code of its own for a bad tag. */
export function parseTag(text: string): Tag {
  if (isTag(text)) return text
  throw new RegistryError('MANIFEST_INVALID', {
    message: 'invalid tag: a tag has 1 to 128 characters of A-Z a-z 0-9 _ . - and does not begin with . or -',
    detail: { tag: text.slice(0, 300) },
  })
}

/** A text with a colon can only be meant as a digest: no tag has one.
 * @throws RegistryError DIGEST_INVALID or MANIFEST_INVALID */
export function parseReference(text: string): Reference {
  if (isDigest(text)) return { kind: 'digest', digest: text }
  if (text.includes(':')) return { kind: 'digest', digest: parseDigest(text) }
  return { kind: 'tag', tag: parseTag(text) }
}
