import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  type StorageDriver,
  StorageUnavailable,
  type UploadState,
  type WriteSession,
} from '../../storage-drivers/driver.ts'
import type { Body } from '../bytes/body.ts'
import type { HashThreads } from '../bytes/hash-threads.ts'
import { beginHash, type RunningHash } from '../bytes/running-hash.ts'
import type { Logger } from '../lib/log.ts'
import type { StoredBlob } from '../metadata/blobs.ts'
import type { Database } from '../metadata/database.ts'
import { type Actor, ownerKey } from '../access/actor.ts'
import type { UploadKey, UploadRow } from '../metadata/uploads.ts'
import { algorithmOf, type Digest, type DigestAlgorithm } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { blobKey } from './blob-keys.ts'
import { createDigestMemory } from './digest-memory.ts'
import { createOpenUploads } from './open-uploads.ts'
import { receive, type Received } from './receive.ts'
import type { Repositories } from './repositories.ts'
import { rethrow, translated } from './storage-errors.ts'
import { createStoredBlobs } from './stored-blobs.ts'
import type { UploadHold, UploadSessions } from './upload-sessions.ts'

/** An upload as its client knows it. */
export interface Upload {
  id: string
  repository: RepositoryName
  /** Bytes received so far. */
  offset: number
}

/** Where an upload is, and who asks: it is there for the one who began it alone. */
export interface UploadPlace {
  repository: RepositoryName
  by: Actor
}

/** A body that comes in with a request. */
export interface UploadBody {
  content: Body
  /** Where the client says that these bytes belong (`Content-Range`), both ends inclusive. */
  range?: { first: number; last: number } | undefined
}

/** What ends an upload. */
export interface UploadEnd {
  digest: Digest
  /** The last bytes. */
  body: UploadBody
}

/** Blobs on their way in (distribution spec, "Pushing blobs"). */
export interface Uploads {
  /** Begins an upload; the algorithm when the client announces it (`digest-algorithm`). */
  begin(place: UploadPlace, options: { algorithm?: DigestAlgorithm | undefined }): Promise<Upload>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  status(place: UploadPlace, id: string): Promise<Upload>
  /**
   * Takes bytes to the end of an upload. What arrived of a body that broke off stays.
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN; BLOB_UPLOAD_INVALID 416 out of order, 409 while another request writes;
   *   SIZE_INVALID when the body is not as long as its range; INSUFFICIENT_STORAGE
   */
  append(place: UploadPlace, id: string, body: UploadBody): Promise<Upload>
  /**
   * Takes the last bytes and makes the blob, durably. On any refusal the upload stays as it was before the request;
   * where the database went away at the very end, the same request can be sent again.
   * @throws RegistryError as `append`, and DIGEST_INVALID
   */
  finish(place: UploadPlace, id: string, end: UploadEnd): Promise<void>
  /** A whole blob in one request. @throws RegistryError DIGEST_INVALID; SIZE_INVALID; INSUFFICIENT_STORAGE */
  push(place: UploadPlace, end: UploadEnd): Promise<void>
  /** Ends an upload; a request that is writing to it breaks off in a moment. @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  cancel(place: UploadPlace, id: string): Promise<void>
}

export interface UploadsOptions {
  database: Database
  repositories: Repositories
  sessions: UploadSessions
  driver: StorageDriver
  /** The name of the driver's place in `blob_locations`. */
  location: string
  threads: HashThreads
  log: Logger
}

/** Blobs of which it is remembered that their bytes are stored while their rows are not. */
const unrecordedKept = 4096

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createUploads(options: UploadsOptions): Uploads {
  const { database, repositories, sessions, driver, location, threads, log } = options
  const digests = createDigestMemory({ driver })
  const opened = createOpenUploads(log)
  const stored = createStoredBlobs({ database, repositories, driver })
  /** By upload: a commit takes the upload away, so that a finish whose rows were not written can't begin anew. */
  const unrecorded = new LRUCache<string, UploadKey & { blob: StoredBlob }>({ max: unrecordedKept })

  /** Writes down a blob whose bytes are stored, or remembers that it is still to be done. */
  async function record(place: UploadPlace, blob: StoredBlob, id: string): Promise<void> {
    unrecorded.set(id, { ...keyOf(place, id), blob })
    await stored.record({ ...place, blob, upload: id })
    unrecorded.delete(id)
  }

  /** What an earlier finish of the upload left to be written down. */
  async function findUnrecorded(place: UploadPlace, id: string, digest: Digest): Promise<StoredBlob | undefined> {
    const left = unrecorded.get(id)
    if (left?.repository !== place.repository || left.owner !== ownerKey(place.by)) return undefined
    if (left.blob.digest !== digest) return undefined
    return (await driver.size(left.blob.key).catch(rethrow)) === left.blob.size ? left.blob : undefined
  }

  /** Runs the work with the upload held, and in every case gives it back or ends it. */
  async function holding<T>(key: UploadKey, work: (hold: UploadHold) => Promise<T>): Promise<T> {
    const { id } = key
    const hold = await sessions.hold(key)
    try {
      return await work(hold)
    } catch (error) {
      const released = hold.release().catch(cause => log.warn({ err: cause, upload: id }, 'upload not released'))
      // What was lost may be the database, which would be waited for.
      if (!hold.signal.aborted) await released
      throw translated(error)
    }
  }

  /** Where an upload was cancelled while a request wrote to it, no one else knows of its bytes: they go. */
  async function dropIfCancelled(row: UploadRow, state: UploadState): Promise<void> {
    if ((await sessions.find(row)) === undefined) await driver.dropUpload(state)
  }

  /** Gives an upload back in this state. @throws RegistryError UNAVAILABLE when it was lost to another request */
  async function giveBack(hold: UploadHold, state: UploadState): Promise<void> {
    const { row, signal } = hold
    const noteLeft = (cause: unknown) => log.warn({ err: cause, upload: row.id }, 'bytes of an upload left behind')
    if (signal.aborted) {
      // Not waited for: the database may be what was lost.
      void dropIfCancelled(row, state).catch(noteLeft)
      throw signal.reason
    }
    await hold.save(state).catch(async error => {
      await dropIfCancelled(row, state).catch(noteLeft)
      throw error
    })
  }

  /** Lets go of a session that is of no more use, which no client waits for. */
  function closeLater(session: WriteSession): void {
    session.close().catch((error: unknown) => log.warn({ err: error }, 'upload not closed'))
  }

  async function open(row: UploadRow): Promise<WriteSession> {
    const kept = opened.take(row)
    if (kept !== undefined) return kept
    if (row.driver_state === null) return driver.createUpload()
    return driver.resumeUpload({ offset: row.byte_offset, driver: row.driver_state })
  }

  /**
   * Takes a body to the end of an open upload.
   * @throws RegistryError SIZE_INVALID, or what the driver throws: then none of the body counts
   */
  async function take(
    session: WriteSession,
    { content, range }: UploadBody,
    before: { offset: number; hash: RunningHash | undefined },
  ): Promise<Received> {
    const received = await receive(content, { session, ...before, threads })
    if (received.failure === undefined && range !== undefined && received.bytes !== lengthOf(range)) {
      received.hash?.drop()
      throw new RegistryError('SIZE_INVALID', {
        message: `the Content-Range speaks of ${lengthOf(range)} bytes, the body had ${received.bytes}`,
      })
    }
    return received
  }

  /**
   * Takes the last body of an upload. @returns how many bytes the upload has in all
   * @throws RegistryError DIGEST_INVALID, BLOB_UPLOAD_INVALID when the body broke off, and as `take`
   */
  async function takeAll(
    session: WriteSession,
    body: UploadBody,
    { digest, ...before }: { offset: number; hash: RunningHash | undefined; digest: Digest },
  ): Promise<number> {
    const { failure, hash } = await take(session, body, before)
    try {
      if (failure !== undefined) throw brokenOff(failure)
      const actual = hash === undefined ? await digests.read(await session.save(), algorithmOf(digest)) : hash.digest()
      checkDigest(digest, await actual)
      return session.length
    } finally {
      hash?.drop()
    }
  }

  return {
    async begin({ repository, by }, { algorithm }) {
      const id = randomUUID()
      await sessions.begin({ id, repository, owner: ownerKey(by), algorithm: algorithm ?? null, location })
      return { id, repository, offset: 0 }
    },

    async status(place, id) {
      const row = await sessions.find(keyOf(place, id))
      if (row === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
      return { id, repository: row.repository, offset: row.byte_offset }
    },

    append: (place, id, body) =>
      holding(keyOf(place, id), async hold => {
        const offset = hold.row.byte_offset
        checkOrder(offset, body.range)
        const session = await open(hold.row)
        const cut = cutOff(body.content, hold.signal)
        let keep: UploadState | undefined
        try {
          const begun = session.stored()
          // Not by a save: what is too little for a part would be stored again and again.
          hold.trackProgress(async () => session.stored())
          const received = await take(session, body, { offset, hash: digests.resume(hold.row) }).catch(async error => {
            await session.close()
            await giveBack(hold, begun)
            throw error
          })
          let state: UploadState
          try {
            state = await session.save()
            await giveBack(hold, state)
          } catch (error) {
            received.hash?.drop()
            throw error
          }
          digests.remember(id, received.hash, state.offset)
          if (received.failure !== undefined) throw brokenOff(received.failure)
          keep = state
          return { id, repository: hold.row.repository, offset: state.offset }
        } finally {
          cut()
          if (keep === undefined) await session.close()
          else opened.keep(id, session, keep)
        }
      }),

    async finish(place, id, { digest, body }) {
      const left = await findUnrecorded(place, id, digest)
      if (left !== undefined) return record(place, left, id)
      return holding(keyOf(place, id), async hold => {
        const offset = hold.row.byte_offset
        checkOrder(offset, body.range)
        const session = await open(hold.row)
        const before = session.stored()
        const cut = cutOff(body.content, hold.signal)
        try {
          hold.trackProgress(async () => before)
          const hash = digests.resume(hold.row, algorithmOf(digest))
          const size = await takeAll(session, body, { offset, hash, digest })
          hold.signal.throwIfAborted()
          const key = await session.commit(blobKey(digest))
          await record(place, { digest, size, location, key }, id)
          hold.ended()
          digests.forget(id)
          closeLater(session)
        } catch (error) {
          // Nothing may be on its way any more when another request gets the upload.
          await session.close().catch(cause => log.warn({ err: cause, upload: id }, 'upload not closed'))
          await giveBack(hold, before).catch(cause => log.warn({ err: cause, upload: id }, 'upload not released'))
          throw error
        } finally {
          cut()
        }
      })
    },

    async push(place, { digest, body }) {
      checkOrder(0, body.range)
      const session = await driver.createUpload({ key: blobKey(digest) }).catch(rethrow)
      try {
        const hash = beginHash(algorithmOf(digest))
        const size = await takeAll(session, body, { offset: 0, hash, digest })
        const key = await session.commit(blobKey(digest))
        await stored.record({ ...place, blob: { digest, size, location, key }, upload: null })
        closeLater(session)
      } catch (error) {
        // Nothing may be on its way any more to what is dropped.
        const dropped = session
          .close()
          .then(() => driver.dropUpload(session.stored()))
          .catch((cause: unknown) => log.warn({ err: cause }, 'bytes of a push left behind'))
        // A store that is away would keep the client waiting once more.
        if (!(error instanceof StorageUnavailable)) await dropped
        throw translated(error)
      }
    },

    async cancel(place, id) {
      const row = await sessions.cancel(keyOf(place, id))
      if (row === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
      digests.forget(id)
      opened.drop(id)
      unrecorded.delete(id)
      if (row.driver_state === null) return
      await driver.dropUpload({ offset: row.byte_offset, driver: row.driver_state }).catch(rethrow)
    },
  }
}

/** Ids are ours: what does not look like one is the id of no upload. */
function keyOf({ repository, by }: UploadPlace, id: string): UploadKey {
  if (!uuid.test(id)) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
  return { id, repository, owner: ownerKey(by) }
}

function lengthOf(range: { first: number; last: number }): number {
  return range.last - range.first + 1
}

/** @throws RegistryError BLOB_UPLOAD_INVALID 416 (distribution spec, "Pushing a blob in chunks") */
function checkOrder(offset: number, range: UploadBody['range']): void {
  if (range === undefined || range.first === offset) return
  throw new RegistryError('BLOB_UPLOAD_INVALID', {
    status: 416,
    message: `the next byte of this upload is number ${offset}, the Content-Range begins at ${range.first}`,
    headers: { range: `0-${Math.max(offset - 1, 0)}` },
  })
}

function checkDigest(expected: Digest, actual: Digest): void {
  if (expected === actual) return
  throw new RegistryError('DIGEST_INVALID', {
    message: 'the content does not have the digest that was given',
    detail: { expected, actual },
  })
}

function brokenOff(cause: unknown): RegistryError {
  return new RegistryError('BLOB_UPLOAD_INVALID', { message: 'the body ended before its end', cause })
}

/** Ends the reading of a body when the hold on its upload is lost. @returns a function that calls it off */
function cutOff(content: Body, signal: AbortSignal): () => void {
  const cut = () => content.stop()
  signal.addEventListener('abort', cut)
  return () => signal.removeEventListener('abort', cut)
}
