import { algorithmOf, type Digest, encodedOf } from '../oci/digest.ts'

/**
 * Every key under which a blob driver keeps an object:
 *
 *   blobs/<algorithm>/<first two digits>/<digits>     the bytes of a blob
 *
 * What a driver does with uploads under way is its own affair. The key that counts is the one in `blob_locations`:
 * this is only what a commit proposes.
 */
export function blobKey(digest: Digest): string {
  const encoded = encodedOf(digest)
  return `blobs/${algorithmOf(digest)}/${encoded.slice(0, 2)}/${encoded}`
}
