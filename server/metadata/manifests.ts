import type { Digest } from '../oci/digest.ts'
import type { Reference, Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'
import type { RepositoryId } from './repositories.ts'

/** A manifest without its bytes. */
export interface ManifestPlace {
  id: number
  digest: Digest
  media_type: string
}

export interface ManifestRow extends ManifestPlace {
  payload: Buffer
}

const byDigest = `
     from repositories r
     join manifests m on m.repository_id = r.id and m.deleted_at is null
    where r.name = $1 and m.digest = $2`
const byTag = `
     from repositories r
     join tags t on t.repository_id = r.id and t.lifetime_end is null
     join manifests m on m.id = t.manifest_id and m.deleted_at is null
    where r.name = $1 and t.name = $2`
const place = 'm.id, m.digest, m.media_type'

const findByDigest = statement('manifests.find_by_digest', `select ${place}, m.payload ${byDigest}`)
const findByTag = statement('manifests.find_by_tag', `select ${place}, m.payload ${byTag}`)
const locateByDigest = statement('manifests.locate_by_digest', `select ${place} ${byDigest}`)
const locateByTag = statement('manifests.locate_by_tag', `select ${place} ${byTag}`)

/** The manifest that a live tag or a digest names. */
export async function findManifest(
  db: Queryable,
  repository: RepositoryName,
  reference: Reference,
): Promise<ManifestRow | undefined> {
  return reference.kind === 'digest'
    ? db.row<ManifestRow>(findByDigest, [repository, reference.digest])
    : db.row<ManifestRow>(findByTag, [repository, reference.tag])
}

/** As `findManifest`, without the bytes. */
export async function locateManifest(
  db: Queryable,
  repository: RepositoryName,
  reference: Reference,
): Promise<ManifestPlace | undefined> {
  return reference.kind === 'digest'
    ? db.row<ManifestPlace>(locateByDigest, [repository, reference.digest])
    : db.row<ManifestPlace>(locateByTag, [repository, reference.tag])
}

const payload = statement('manifests.payload', `select payload from manifests where id = $1`)

/** The bytes of a manifest, which never change; undefined when it has been cleaned up. */
export async function findPayload(db: Queryable, id: number): Promise<Buffer | undefined> {
  return (await db.row<{ payload: Buffer }>(payload, [id]))?.payload
}

export interface NewManifest {
  digest: Digest
  mediaType: string
  artifactType: string | undefined
  subject: Digest | undefined
  annotations: Record<string, string> | undefined
  contentSize: number
  payload: Uint8Array
  /** Ids of the blobs that it needs. */
  blobs: readonly number[]
  /** Blobs that it needs and that are not in the repository. */
  absentBlobs: readonly Digest[]
  children: readonly Digest[]
}

const put = statement(
  'manifests.put',
  `with manifest as (
     insert into manifests (repository_id, digest, media_type, artifact_type, subject_digest, annotations, content_size, payload)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (repository_id, digest) do update
       set media_type = excluded.media_type, artifact_type = excluded.artifact_type, pushed_at = now(), deleted_at = null
       where manifests.deleted_at is not null or manifests.media_type = excluded.media_type
     returning id
   ), needs as (
     insert into manifest_blobs (manifest_id, repository_id, blob_id)
     select manifest.id, $1, blob_id from manifest, unnest($9::bigint[]) as blob_id
     on conflict do nothing
   ), lacks as (
     insert into manifest_absent_blobs (manifest_id, repository_id, digest)
     select manifest.id, $1, digest from manifest, unnest($11::text[]) as digest
     on conflict do nothing
   ), has as (
     insert into manifest_children (manifest_id, repository_id, child_digest)
     select manifest.id, $1, child from manifest, unnest($10::text[]) as child
     on conflict do nothing
   )
   select id from manifest`,
)

/**
 * Stores a manifest with what it refers to; one that was deleted comes back.
 * @returns its id; undefined when the same bytes are there under another media type, which stays
 */
export async function putManifest(
  tx: Queryable,
  repository: RepositoryId,
  row: NewManifest,
): Promise<number | undefined> {
  const stored = await tx.row<{ id: number }>(put, [
    repository,
    row.digest,
    row.mediaType,
    row.artifactType ?? null,
    row.subject ?? null,
    row.annotations === undefined ? null : JSON.stringify(row.annotations),
    row.contentSize,
    row.payload,
    row.blobs,
    row.children,
    row.absentBlobs,
  ])
  return stored?.id
}

const lockExisting = statement(
  'manifests.lock_existing',
  `select digest, length(payload) as size from manifests
    where repository_id = $1 and digest = any($2) and deleted_at is null
    order by id
      for share`,
)

/** Those of the digests that are manifests of the repository, kept from being deleted until the transaction ends. */
export async function lockManifests(
  tx: Queryable,
  repository: RepositoryId,
  digests: readonly Digest[],
): Promise<{ digest: Digest; size: number }[]> {
  return tx.rows<{ digest: Digest; size: number }>(lockExisting, [repository, digests])
}

const lockOne = statement(
  'manifests.lock_one',
  `select m.id, m.repository_id from repositories r join manifests m on m.repository_id = r.id and m.deleted_at is null
    where r.name = $1 and m.digest = $2
      for share of m`,
)

/** A manifest by its digest, kept from being deleted until the transaction ends; undefined when there is none. */
export async function lockManifest(
  tx: Queryable,
  repository: RepositoryName,
  digest: Digest,
): Promise<{ id: number; repository_id: RepositoryId } | undefined> {
  return tx.row<{ id: number; repository_id: RepositoryId }>(lockOne, [repository, digest])
}

const findEver = statement(
  'manifests.find_ever',
  `select ${place}, m.payload from repositories r join manifests m on m.repository_id = r.id
    where r.name = $1 and m.digest = $2`,
)

/** As `findManifest`, also when it was deleted and is still there to be brought back. */
export async function findManifestEver(
  db: Queryable,
  repository: RepositoryName,
  digest: Digest,
): Promise<ManifestRow | undefined> {
  return db.row<ManifestRow>(findEver, [repository, digest])
}

const remove = statement(
  'manifests.remove',
  `update manifests m set deleted_at = clock_timestamp()
     from repositories r
    where r.name = $1 and m.repository_id = r.id and m.digest = $2 and m.deleted_at is null
   returning m.id`,
)
/** In the order of the names, in which pushes move tags: so they do not wait for each other crosswise. */
const endTags = statement(
  'manifests.end_tags',
  `with ending as materialized (
     select id from tags where manifest_id = $1 and lifetime_end is null order by name for update
   )
   update tags set lifetime_end = clock_timestamp() from ending where tags.id = ending.id returning tags.name`,
)

/** Deletes a manifest for every client and ends its tags. Call it in a transaction: two statements, because the second
 * has to see tags that were put while the first waited for the manifest's row.
 * @returns the tags that ended, or undefined when there is no such manifest */
export async function removeManifest(
  tx: Queryable,
  repository: RepositoryName,
  digest: Digest,
): Promise<Tag[] | undefined> {
  const removed = await tx.row<{ id: number }>(remove, [repository, digest])
  if (removed === undefined) return undefined
  const tags = await tx.rows<{ name: Tag }>(endTags, [removed.id])
  return tags.map(tag => tag.name)
}
