import { Type } from 'typebox'
import { notFound } from '../../accounts/errors.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { isIndexType } from '../../oci/media-types.ts'
import type { TagLifetime } from '../../registry/tags.ts'
import { rfc2822 } from './views.ts'

/** Shapes that answers and requests about repositories share. */

/** Of the path of a route that is for a repository: its name in full, which may have slashes. */
export const repositoryParams = Type.Object({ repository: Type.String() })

const states = { normal: 'NORMAL', read_only: 'READ_ONLY', mirror: 'MIRROR' } as const

export function stateOf(state: keyof typeof states): string {
  return states[state]
}

/** A digest of the path. @throws AccountError not_found, as for one that the repository does not have */
export function digestOf(text: string): Digest {
  if (!isDigest(text)) throw notFound()
  return text
}

/** The size of an image; nothing is known of an index's. */
export function sizeOf({ media_type: mediaType, content_size: size }: TagLifetime): number | null {
  return isIndexType(mediaType) ? null : size
}

/** What lists say of when a tag began and, where it has, when it ended. */
export function timesOf({ lifetime_start: start, lifetime_end: end }: TagLifetime) {
  return {
    last_modified: rfc2822(start) ?? '',
    ...(end === null ? {} : { expiration: rfc2822(end) ?? '' }),
  }
}
