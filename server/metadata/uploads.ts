import type { DigestAlgorithm } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'

/** Whom an upload belongs to whose repository was deleted: no one can be called so. */
export const nobody = '~deleted'

/** By what an upload is found: it is there for the one who began it alone. */
export interface UploadKey {
  id: string
  repository: RepositoryName
  /** As `ownerKey` says it; empty where no one is asked. */
  owner: string
}

export interface UploadRow extends UploadKey {
  /** Announced by the client when it began (`digest-algorithm`), if it was. */
  algorithm: DigestAlgorithm | null
  location: string
  byte_offset: number
  /** What the blob driver remembers of it; null before its first byte. */
  driver_state: Record<string, unknown> | null
}

const columns =
  'uploads.id, uploads.repository, uploads.owner, uploads.algorithm, uploads.location, uploads.byte_offset, uploads.driver_state'

/**
 * An unfinished upload may be lost in a crash of Postgres: its client begins again. So these statements do not wait
 * for the disk, each in its own transaction: `relaxed` switches that off for just the statement that it stands in.
 */
const relaxed = `(select set_config('synchronous_commit', 'off', true)) as relaxed`

const isKey = 'id = $1 and repository = $2 and owner = $3'

const insert = statement(
  'uploads.insert',
  `insert into uploads (id, repository, owner, algorithm, location) select $1::uuid, $2, $3, $4, $5 from ${relaxed}`,
)

export async function insertUpload(
  db: Queryable,
  row: UploadKey & { algorithm: DigestAlgorithm | null; location: string },
): Promise<void> {
  await db.change(insert, [row.id, row.repository, row.owner, row.algorithm, row.location])
}

const find = statement('uploads.find', `select ${columns} from uploads where ${isKey}`)

export async function findUpload(db: Queryable, { id, repository, owner }: UploadKey): Promise<UploadRow | undefined> {
  return db.row<UploadRow>(find, [id, repository, owner])
}

const store = statement(
  'uploads.store',
  `insert into uploads (id, repository, owner, algorithm, location, byte_offset, driver_state)
   select u.id, u.repository, u.owner, u.algorithm, u.location, u.byte_offset, u.driver_state
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::json[])
          as u (id, repository, owner, algorithm, location, byte_offset, driver_state), ${relaxed}
   on conflict (id) do update set byte_offset = excluded.byte_offset, driver_state = excluded.driver_state`,
)

/** Writes down uploads as they are, whatever the database has of them. */
export async function storeUploads(db: Queryable, rows: readonly UploadRow[]): Promise<void> {
  await db.change(store, [
    rows.map(row => row.id),
    rows.map(row => row.repository),
    rows.map(row => row.owner),
    rows.map(row => row.algorithm),
    rows.map(row => row.location),
    rows.map(row => row.byte_offset),
    rows.map(row => (row.driver_state === null ? null : JSON.stringify(row.driver_state))),
  ])
}

/** How long a request that fell silent keeps an upload to itself, in seconds; three times `trackEveryMs`. */
export const holdSeconds = 15

const hold = statement(
  'uploads.hold',
  `update uploads
      set holder = $4, held_until = now() + make_interval(secs => ${holdSeconds})
     from ${relaxed}
    where ${isKey} and (holder is null or held_until < now())
   returning ${columns}`,
)

/** Takes the upload for one request. Undefined when there is none, or when another request has it. */
export async function holdUpload(
  db: Queryable,
  { id, repository, owner }: UploadKey,
  holder: string,
): Promise<UploadRow | undefined> {
  return db.row<UploadRow>(hold, [id, repository, owner, holder])
}

const save = statement(
  'uploads.save',
  `update uploads
      set byte_offset = coalesce($3, byte_offset), driver_state = coalesce($4, driver_state), held_until = now() + make_interval(secs => ${holdSeconds}),
          holder = case when $5 then null else holder end
     from ${relaxed}
    where id = $1 and holder = $2`,
)

/**
 * Keeps the upload for its holder for another while, or gives it back; with a state, writes down how far it has come.
 * @returns false when the holder has lost it: it must write no more
 */
export async function saveUpload(
  db: Queryable,
  id: string,
  holder: string,
  { state, release }: { state?: { offset: number; driver: Record<string, unknown> } | undefined; release: boolean },
): Promise<boolean> {
  return (await db.change(save, [id, holder, state?.offset, state?.driver, release])) > 0
}

const releaseAll = statement('uploads.release_all', `update uploads set holder = null where holder is not null`)

/** For a process that knows itself to be the only one: whoever held an upload is dead. */
export async function releaseAllUploads(db: Queryable): Promise<void> {
  await db.change(releaseAll)
}

const remove = statement('uploads.remove', `delete from uploads where ${isKey} returning ${columns}`)

/** Ends an upload, durably, whoever holds it. @returns how far it had come, or undefined when there is none */
export async function removeUpload(
  db: Queryable,
  { id, repository, owner }: UploadKey,
): Promise<UploadRow | undefined> {
  return db.row<UploadRow>(remove, [id, repository, owner])
}

const abandon = statement(
  'uploads.abandon',
  `update uploads set owner = '${nobody}', holder = null from ${relaxed} where id = any($1::uuid[]) and owner <> '${nobody}'`,
)

/** Makes uploads no one's: no client finds them any more, and what they have goes when they expire. */
export async function abandonUploads(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.change(abandon, [ids])
}

const expired = `started_at < now() - make_interval(secs => $1) and (holder is null or held_until < now())`

const countExpired = statement(
  'uploads.count_expired',
  `select count(*) as uploads, coalesce(sum(byte_offset), 0)::bigint as bytes from uploads where ${expired}`,
)

/** How many uploads `takeExpiredUploads` would give in all, and how many bytes they hold. */
export async function countExpiredUploads(
  db: Queryable,
  { ageSeconds }: { ageSeconds: number },
): Promise<{ uploads: number; bytes: number }> {
  return (await db.row<{ uploads: number; bytes: number }>(countExpired, [ageSeconds])) ?? { uploads: 0, bytes: 0 }
}

const takeExpired = statement(
  'uploads.take_expired',
  `select ${columns} from uploads
    where ${expired}
    order by started_at
    limit $2
      for update skip locked`,
)

/** Uploads begun more than `ageSeconds` ago that no one is writing to, locked until the transaction ends. */
export async function takeExpiredUploads(
  tx: Queryable,
  { ageSeconds, limit }: { ageSeconds: number; limit: number },
): Promise<UploadRow[]> {
  return tx.rows<UploadRow>(takeExpired, [ageSeconds, limit])
}

const removeExpired = statement('uploads.remove_expired', `delete from uploads where id = any($1::uuid[])`)

export async function removeUploads(tx: Queryable, ids: readonly string[]): Promise<void> {
  await tx.change(removeExpired, [ids])
}

const known = statement('uploads.known', `select 1 from uploads where driver_state::jsonb @> $1::jsonb limit 1`)

/** Whether any upload goes on from a state of the driver in which there is this. */
export async function isKnownState(db: Queryable, driverState: Record<string, unknown>): Promise<boolean> {
  return (await db.row(known, [JSON.stringify(driverState)])) !== undefined
}
