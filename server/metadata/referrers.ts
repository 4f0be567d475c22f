import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'

/** A manifest as the referrers API shows it. */
export interface ReferrerRow {
  digest: Digest
  media_type: string
  artifact_type: string | null
  annotations: Record<string, string> | null
  size: number
  /** Whether it and the rows before it come to more than `bytes`: then its annotations were not read, unless it is the first. */
  beyond: boolean
}

export interface ReferrerPage {
  subject: Digest
  /** What an index under this tag lists is to be found as well. */
  fallbackTag: Tag
  artifactType: string | undefined
  after: string
  limit: number
  /** Manifests come to about as many bytes in one page; annotations can be large. */
  bytes: number
}

const wanted = `m.repository_id = (select id from repositories where name = $1) and m.deleted_at is null
      and m.digest > $4 and ($5::text is null or m.artifact_type = $5)`

const page = statement(
  'referrers.page',
  `with found as (
     (select m.id, m.digest from manifests m where ${wanted} and m.subject_digest = $2 order by m.digest limit $6)
     union
     (select m.id, m.digest
        from tags t
        join manifests i on i.id = t.manifest_id and i.media_type in ('${mediaTypes.ociIndex}', '${mediaTypes.dockerList}')
        join manifest_children c on c.manifest_id = i.id
        join manifests m on m.repository_id = i.repository_id and m.digest = c.child_digest
       where ${wanted} and t.repository_id = m.repository_id and t.name = $3 and t.lifetime_end is null
       order by m.digest limit $6)
     order by digest limit $6
   ), sized as (
     select m.*, sum(length(m.payload)) over (order by m.digest) > $7 as beyond, row_number() over (order by m.digest) as place
       from found join manifests m on m.id = found.id
   )
   select digest, media_type, artifact_type, case when beyond and place > 1 then null else annotations end as annotations,
          length(payload) as size, beyond
     from sized
    order by digest`,
)

/** Manifests that refer to the subject, or that the fallback tag lists, after `after` in byte order. */
export async function referrerPage(
  db: Queryable,
  repository: RepositoryName,
  { subject, fallbackTag, artifactType, after, limit, bytes }: ReferrerPage,
): Promise<ReferrerRow[]> {
  return db.rows<ReferrerRow>(page, [repository, subject, fallbackTag, after, artifactType ?? null, limit, bytes])
}
