import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'

/** A manifest as the referrers API shows it. */
export interface ReferrerRow {
  digest: Digest
  media_type: string
  artifact_type: string | null
  annotations: Record<string, string> | null
  size: number
  /** Whether the rows before it come to `bytes` already: then its annotations were not read. */
  beyond: boolean
}

export interface ReferrerPage {
  subject: Digest
  /** Manifests to be found beside those with the subject. */
  others: readonly Digest[]
  artifactType: string | undefined
  after: string
  limit: number
  /** Manifests come to about as many bytes in one page; annotations can be large. */
  bytes: number
}

const live = `repository_id = (select id from repositories where name = $1) and deleted_at is null
      and digest > $4 and ($5::text is null or artifact_type = $5)`

const page = statement(
  'referrers.page',
  `with found as (
     (select id, digest from manifests where ${live} and subject_digest = $2 order by digest limit $6)
     union
     (select id, digest from manifests where ${live} and digest = any($3) order by digest limit $6)
     order by digest limit $6
   ), sized as (
     select m.*, sum(length(m.payload)) over (order by m.digest) - length(m.payload) >= $7 as beyond
       from found join manifests m on m.id = found.id
   )
   select digest, media_type, artifact_type, case when beyond then null else annotations end as annotations,
          length(payload) as size, beyond
     from sized
    order by digest`,
)

/** Manifests that refer to the subject, or are one of `others`, after `after` in byte order. */
export async function referrerPage(
  db: Queryable,
  repository: RepositoryName,
  { subject, others, artifactType, after, limit, bytes }: ReferrerPage,
): Promise<ReferrerRow[]> {
  return db.rows<ReferrerRow>(page, [repository, subject, others, after, artifactType ?? null, limit, bytes])
}
