import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'
import type { RepositoryId } from './repositories.ts'

/** A blob as a repository shows it, with the place of its bytes. */
export interface BlobRow {
  id: number
  digest: Digest
  size: number
  key: string
}

const findInRepository = statement(
  'blobs.find_in_repository',
  `select b.id, b.digest, b.size, l.key
     from repositories r
     join repository_blobs rb on rb.repository_id = r.id
     join blobs b on b.id = rb.blob_id
     join blob_locations l on l.blob_id = b.id and l.location = $3
    where r.name = $1 and b.digest = $2`,
)

/** The blob if this repository may show it and this location has it. */
export async function findBlob(
  db: Queryable,
  repository: RepositoryName,
  digest: Digest,
  location: string,
): Promise<BlobRow | undefined> {
  return db.row<BlobRow>(findInRepository, [repository, digest, location])
}

const findAnywhere = statement(
  'blobs.find_anywhere',
  `select r.name
     from blobs b
     join repository_blobs rb on rb.blob_id = b.id
     join repositories r on r.id = rb.repository_id and r.deleted_at is null
    where b.digest = $1
    limit $2`,
)

/** Some repositories that have the blob, for a mount that names no source. */
export async function findRepositoriesWithBlob(
  db: Queryable,
  digest: Digest,
  limit: number,
): Promise<RepositoryName[]> {
  const rows = await db.rows<{ name: RepositoryName }>(findAnywhere, [digest, limit])
  return rows.map(row => row.name)
}

export interface StoredBlob {
  digest: Digest
  size: number
  location: string
  /** Where the bytes of this push are. */
  key: string
}

/** What a push ended with: the bytes of a blob are stored, the repository may show them from now on. */
export interface BlobPush {
  repository: RepositoryName
  blob: StoredBlob
  /** The upload that brought it, which ends; null where it has no row. */
  upload: string | null
}

// In the order of their digests: another process that adds some of the same blobs waits, and does not deadlock.
const add = statement(
  'blobs.add',
  `with push as (
     select p.*, r.id as repository_id
       from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
         with ordinality as p (repository, digest, size, location, key, number)
       join repositories r on r.name = p.repository
   ), blob as (
     insert into blobs (digest, size) select digest, size from push order by digest
     on conflict (digest) do update set digest = excluded.digest
     returning id, digest
   ), place as (
     insert into blob_locations (blob_id, location, key)
     select blob.id, push.location, push.key from push join blob using (digest) order by digest
     on conflict (blob_id, location) do update set location = excluded.location
     returning blob_id, key
   ), link as (
     insert into repository_blobs (repository_id, blob_id)
     select push.repository_id, blob.id from push join blob using (digest)
     on conflict do nothing
   ), ended as (
     delete from uploads where id = any($6::uuid[])
   )
   select push.number, place.key from push join blob using (digest) join place on place.blob_id = blob.id`,
)

/**
 * Records that the bytes of blobs are stored and that repositories may show them, and ends the uploads that brought
 * them, in one statement that is durable when it resolves. No two of the pushes are of one digest.
 * @returns for each push the key that counts: another one than given when the same blob was stored there before;
 *   undefined when there is no such repository yet
 */
export async function addBlobs(db: Queryable, pushes: readonly BlobPush[]): Promise<(string | undefined)[]> {
  const blobs = pushes.map(({ blob }) => blob)
  const rows = await db.rows<{ number: number; key: string }>(add, [
    pushes.map(({ repository }) => repository),
    blobs.map(({ digest }) => digest),
    blobs.map(({ size }) => size),
    blobs.map(({ location }) => location),
    blobs.map(({ key }) => key),
    pushes.map(({ upload }) => upload).filter(upload => upload !== null),
  ])
  const keys = new Map(rows.map(({ number, key }) => [number, key]))
  return pushes.map((_push, index) => keys.get(index + 1))
}

const link = statement(
  'blobs.link',
  `insert into repository_blobs (repository_id, blob_id)
   select $1, rb.blob_id
     from repositories r
     join repository_blobs rb on rb.repository_id = r.id
     join blobs b on b.id = rb.blob_id
    where r.name = $2 and b.digest = $3
      for key share of rb
   on conflict do nothing`,
)

/** Lets `repository` show the blob that `from` shows (a mount). */
export async function linkBlob(
  db: Queryable,
  repository: RepositoryId,
  { from, digest }: { from: RepositoryName; digest: Digest },
): Promise<void> {
  await db.change(link, [repository, from, digest])
}

const lockLink = statement(
  'blobs.lock_link',
  `select rb.repository_id, rb.blob_id
     from repositories r
     join repository_blobs rb on rb.repository_id = r.id
     join blobs b on b.id = rb.blob_id
    where r.name = $1 and b.digest = $2
      for update of rb`,
)
const usedBy = statement(
  'blobs.used_by',
  `select m.digest
     from (select manifest_id from manifest_blobs where blob_id = $2 and repository_id = $1
           union all
           select manifest_id from manifest_absent_blobs where digest = $3 and repository_id = $1) as needs
     join manifests m on m.id = needs.manifest_id
    where m.deleted_at is null
    limit 1`,
)
const unlink = statement('blobs.unlink', `delete from repository_blobs where repository_id = $1 and blob_id = $2`)

export type UnlinkResult = { outcome: 'unlinked' } | { outcome: 'unknown' } | { outcome: 'in use'; by: Digest }

/** Ends a repository's right to show a blob, unless a manifest of the repository needs it. Call it in a transaction:
 * the row's lock keeps a manifest that is being pushed from relying on the blob meanwhile. */
export async function unlinkBlob(tx: Queryable, repository: RepositoryName, digest: Digest): Promise<UnlinkResult> {
  const row = await tx.row<{ repository_id: RepositoryId; blob_id: number }>(lockLink, [repository, digest])
  if (row === undefined) return { outcome: 'unknown' }
  const user = await tx.row<{ digest: Digest }>(usedBy, [row.repository_id, row.blob_id, digest])
  if (user !== undefined) return { outcome: 'in use', by: user.digest }
  await tx.change(unlink, [row.repository_id, row.blob_id])
  return { outcome: 'unlinked' }
}

const lockLinks = statement(
  'blobs.lock_links',
  `select b.id, b.digest, b.size
     from blobs b
     join repository_blobs rb on rb.blob_id = b.id and rb.repository_id = $1
    where b.digest = any($2)
    order by b.id
      for key share of rb`,
)

/** Those of the digests that the repository may show, kept from being unlinked until the transaction ends. */
export async function lockBlobs(
  tx: Queryable,
  repository: RepositoryId,
  digests: readonly Digest[],
): Promise<{ id: number; digest: Digest; size: number }[]> {
  return tx.rows<{ id: number; digest: Digest; size: number }>(lockLinks, [repository, digests])
}
