import type { Database } from '../metadata/database.ts'
import { referrerPage, type ReferrerRow } from '../metadata/referrers.ts'
import { algorithmOf, type Digest, encodedOf } from '../oci/digest.ts'
import { parseTag, type Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Page } from './pages.ts'

/** A descriptor as it stands in the index that the referrers API answers with. */
export interface Referrer {
  mediaType: string
  digest: Digest
  size: number
  artifactType?: string
  annotations?: Record<string, string>
}

export interface Referrers {
  /**
   * A page of the manifests whose subject is the digest, by digest. Empty for what was never pushed.
   * Manifests that are only listed by the fallback tag of the subject are among them, so that what older clients
   * attached is found as well (distribution spec, "Referrers Tag Schema").
   */
  list(
    repository: RepositoryName,
    subject: Digest,
    request: { n: number | undefined; last: string; artifactType: string | undefined },
  ): Promise<Page<Referrer>>
}

/** Pages stay under the 4 MiB that a client must be able to take, whatever annotations there are. */
const mostReferrers = 1000
const mostBytes = 3 * 1024 * 1024

export function createReferrers({ database }: { database: Database }): Referrers {
  return {
    async list(repository, subject, { n, last, artifactType }) {
      const size = Math.min(n ?? mostReferrers, mostReferrers)
      if (size === 0) return { items: [], more: false }
      const bounds = { after: last, limit: size + 1, bytes: mostBytes }
      const fallbackTag = fallbackTagOf(subject)
      const rows = await referrerPage(database, repository, { subject, fallbackTag, artifactType, ...bounds })
      // One at least, or the page could never be passed.
      const items = rows.slice(0, size).filter((row, index) => index === 0 || !row.beyond)
      return { items: items.map(describe), more: rows.length > items.length }
    },
  }
}

/** `sha256:abc` becomes `sha256-abc`, cut to 32 and 64 characters (distribution spec, "Referrers Tag Schema"). */
function fallbackTagOf(subject: Digest): Tag {
  return parseTag(`${algorithmOf(subject).slice(0, 32)}-${encodedOf(subject).slice(0, 64)}`)
}

function describe(row: ReferrerRow): Referrer {
  return {
    mediaType: row.media_type,
    digest: row.digest,
    size: row.size,
    ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
    ...(row.annotations === null ? {} : { annotations: row.annotations }),
  }
}
