import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'
import type { RepositoryId } from './repositories.ts'

const endOther = statement(
  'tags.end_other',
  `update tags set lifetime_end = clock_timestamp()
    where repository_id = $1 and name = $2 and lifetime_end is null and manifest_id <> $3`,
)
const begin = statement(
  'tags.begin',
  `insert into tags (repository_id, name, manifest_id, reversion) values ($1, $2, $3, $4)
   on conflict (repository_id, name) where lifetime_end is null
     do update set name = excluded.name where tags.manifest_id = excluded.manifest_id
   returning id`,
)

/**
 * Lets a tag point to a manifest from now on. A tag that points there already stays as it is.
 * Two moves of one tag at once: the second waits for the first, whose row its own first statement could not see yet;
 * it then finds the slot taken and goes round once more.
 * @param options.reversion whether it is brought back to what it was
 */
export async function pointTag(
  tx: Queryable,
  repository: RepositoryId,
  tag: Tag,
  manifest: number,
  { reversion = false }: { reversion?: boolean | undefined } = {},
): Promise<void> {
  for (;;) {
    await tx.change(endOther, [repository, tag, manifest])
    if ((await tx.change(begin, [repository, tag, manifest, reversion])) > 0) return
  }
}

const current = statement(
  'tags.current',
  `select m.digest
     from repositories r
     join tags t on t.repository_id = r.id and t.lifetime_end is null
     join manifests m on m.id = t.manifest_id and m.deleted_at is null
    where r.name = $1 and t.name = $2`,
)

/** Where a tag points now. */
async function findTag(db: Queryable, repository: RepositoryName, tag: Tag): Promise<Digest | undefined> {
  return (await db.row<{ digest: Digest }>(current, [repository, tag]))?.digest
}

const lock = statement(
  'tags.lock',
  `select m.digest
     from tags t join manifests m on m.id = t.manifest_id
    where t.repository_id = $1 and t.name = $2 and t.lifetime_end is null
      for update of t`,
)

const exists = statement(
  'tags.exists',
  `select 1 from tags where repository_id = $1 and name = $2 and lifetime_end is null`,
)

/** Where a tag points, kept so until the transaction ends; undefined when there is no such tag. */
export async function lockTag(tx: Queryable, repository: RepositoryId, tag: Tag): Promise<Digest | undefined> {
  for (;;) {
    const row = await tx.row<{ digest: Digest }>(lock, [repository, tag])
    if (row !== undefined) return row.digest
    // A tag that was moved while this waited for its row looks absent: the row of its new lifetime is seen by the next look.
    if ((await tx.row(exists, [repository, tag])) === undefined) return undefined
  }
}

const create = statement(
  'tags.create',
  `insert into tags (repository_id, name, manifest_id) values ($1, $2, $3)
   on conflict (repository_id, name) where lifetime_end is null do nothing`,
)

/** Lets a tag begin that must not exist yet. @returns false when it exists */
export async function createTag(tx: Queryable, repository: RepositoryId, tag: Tag, manifest: number): Promise<boolean> {
  return (await tx.change(create, [repository, tag, manifest])) > 0
}

const end = statement(
  'tags.end',
  `update tags t set lifetime_end = clock_timestamp()
     from repositories r
    where r.name = $1 and t.repository_id = r.id and t.name = $2 and t.lifetime_end is null`,
)

/**
 * Ends a tag. One that was moved while this waited for its row looks absent, though it never was: then it goes round
 * once more.
 * @returns false when there is no such live tag
 */
export async function endTag(db: Queryable, repository: RepositoryName, tag: Tag): Promise<boolean> {
  for (;;) {
    if ((await db.change(end, [repository, tag])) > 0) return true
    if ((await findTag(db, repository, tag)) === undefined) return false
  }
}

const page = statement(
  'tags.page',
  `select t.name from tags t
    where t.repository_id = $1 and t.lifetime_end is null and t.name > $2
    order by t.name
    limit $3`,
)

/** Live tags after `after` in byte order, at most `limit`. */
export async function tagPage(
  db: Queryable,
  repository: RepositoryId,
  { after, limit }: { after: string; limit: number },
): Promise<Tag[]> {
  const rows = await db.rows<{ name: Tag }>(page, [repository, after, limit])
  return rows.map(row => row.name)
}
