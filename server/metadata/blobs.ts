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
     join repositories r on r.id = rb.repository_id
    where b.digest = $1
    limit 1`,
)

/** Some repository that has the blob, for a mount that names no source. */
export async function findRepositoryWithBlob(db: Queryable, digest: Digest): Promise<RepositoryName | undefined> {
  return (await db.row<{ name: RepositoryName }>(findAnywhere, [digest]))?.name
}

export interface StoredBlob {
  digest: Digest
  size: number
  location: string
  /** Where the bytes of this push are. */
  key: string
}

const add = statement(
  'blobs.add',
  `with repository as (
     select id from repositories where name = $1
   ), blob as (
     insert into blobs (digest, size) select $2, $3 from repository
     on conflict (digest) do update set digest = excluded.digest
     returning id
   ), new_location as (
     insert into blob_locations (blob_id, location, key) select id, $4, $5 from blob
     on conflict (blob_id, location) do nothing
   ), link as (
     insert into repository_blobs (repository_id, blob_id) select repository.id, blob.id from repository, blob
     on conflict do nothing
   ), ended as (
     delete from uploads where id = $6
   )
   select blob.id, coalesce(l.key, $5) as key
     from blob left join blob_locations l on l.blob_id = blob.id and l.location = $4`,
)

/**
 * Records that the bytes of a blob are stored and that the repository may show them, and ends the upload that brought
 * them (if one has a row), in one statement that is durable when it resolves.
 * @returns the key that counts: another one than given when the same blob was stored there before; undefined when
 *   there is no such repository yet
 */
export async function addBlob(
  db: Queryable,
  repository: RepositoryName,
  { digest, size, location, key }: StoredBlob,
  uploadId: string | null,
): Promise<{ id: number; key: string } | undefined> {
  return db.row<{ id: number; key: string }>(add, [repository, digest, size, location, key, uploadId])
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
