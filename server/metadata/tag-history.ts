import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import { type Queryable, type Statement, statement } from './database.ts'
import { containing } from './patterns.ts'
import type { RepositoryId } from './repositories.ts'

/** One lifetime of a tag: from when to when it pointed to a manifest. */
export interface TagLifetime {
  name: Tag
  /** Whether it began by bringing back an older one. */
  reversion: boolean
  lifetime_start: Date
  /** Null while it lasts. */
  lifetime_end: Date | null
  digest: Digest
  media_type: string
  /** Bytes of config and layers. */
  content_size: number
}

export interface TagHistoryFilter {
  /** Leaves out what has ended. */
  live: boolean
  /** This tag alone. */
  name?: Tag | undefined
  /** Tags with this text in their names, whatever the case. */
  part?: string | undefined
}

type Narrowing = 'none' | 'name' | 'part'

/** Each an index's own order, so that a page is read without a sort: by the start, or those of a name by the start. */
const conditions = {
  none: '$2::text is null',
  name: 't.name = $2',
  part: 't.name ilike $2',
} as const satisfies Record<Narrowing, string>

function historyOf(live: boolean, by: Narrowing): Statement {
  return statement(
    `tag_history.${live ? 'live' : 'all'}_by_${by}`,
    `with page as (
       select t.id from tags t
        where t.repository_id = $1 and ${conditions[by]} ${live ? 'and t.lifetime_end is null' : ''}
        order by t.lifetime_start desc, t.name limit $3 offset $4
     )
     select t.name, t.reversion, t.lifetime_start, t.lifetime_end, m.digest, m.media_type, m.content_size
       from page join tags t on t.id = page.id join manifests m on m.id = t.manifest_id
      order by t.lifetime_start desc, t.name`,
  )
}

const ofAll = { none: historyOf(false, 'none'), name: historyOf(false, 'name'), part: historyOf(false, 'part') }
const ofLive = { none: historyOf(true, 'none'), name: historyOf(true, 'name'), part: historyOf(true, 'part') }

/** Lifetimes of a repository's tags, the newest first. */
export async function tagHistory(
  db: Queryable,
  repository: RepositoryId,
  { live, name, part }: TagHistoryFilter,
  { offset, limit }: { offset: number; limit: number },
): Promise<TagLifetime[]> {
  const by: Narrowing = name !== undefined ? 'name' : part !== undefined ? 'part' : 'none'
  const value = name ?? (part === undefined ? null : containing(part))
  return db.rows<TagLifetime>((live ? ofLive : ofAll)[by], [repository, value, limit, offset])
}
