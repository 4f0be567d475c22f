import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { LRUCache } from 'lru-cache'
import {
  OutOfSpace,
  type StorageDriver,
  UploadLost,
  type UploadState,
  type WriteSession,
} from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import type { StoredBlob } from '../metadata/blobs.ts'
import type { Database } from '../metadata/database.ts'
import { findUpload, insertUpload, removeUpload, type UploadRow } from '../metadata/uploads.ts'
import { algorithmOf, createDigester, type Digest, type DigestAlgorithm, type Digester } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { blobKey } from './blob-keys.ts'
import { createDigestMemory } from './digest-memory.ts'
import { receive } from './receive.ts'
import { recordBlob } from './stored-blobs.ts'
import { createUploadHolds, type UploadHold } from './upload-holds.ts'

/** An upload as its client knows it. */
export interface Upload {
  id: string
  repository: RepositoryName
  /** Bytes received so far. */
  offset: number
}

/** A body that comes in with a request. */
export interface UploadBody {
  stream: Readable
  /** Where the client says that these bytes belong (`Content-Range`), both ends inclusive. */
  range?: { first: number; last: number } | undefined
}

/** Blobs on their way in (distribution spec, "Pushing blobs"). */
export interface Uploads {
  /** Begins an upload; the algorithm when the client announces it (`digest-algorithm`). */
  begin(repository: RepositoryName, options: { algorithm?: DigestAlgorithm | undefined }): Promise<Upload>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  status(repository: RepositoryName, id: string): Promise<Upload>
  /**
   * Takes bytes to the end of an upload. What arrived of a body that broke off stays.
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN; BLOB_UPLOAD_INVALID 416 out of order, 409 while another request writes;
   *   SIZE_INVALID when the body is not as long as its range; INSUFFICIENT_STORAGE
   */
  append(repository: RepositoryName, id: string, body: UploadBody): Promise<Upload>
  /**
   * Takes the last bytes and makes the blob, durably. On any refusal the upload stays as it was before the request;
   * where the database went away at the very end, the same request can be sent again.
   * @throws RegistryError as `append`, and DIGEST_INVALID
   */
  finish(repository: RepositoryName, id: string, digest: Digest, body: UploadBody): Promise<void>
  /** A whole blob in one request. @throws RegistryError DIGEST_INVALID; SIZE_INVALID; INSUFFICIENT_STORAGE */
  push(repository: RepositoryName, digest: Digest, body: UploadBody): Promise<void>
  /** Ends an upload; a request that is writing to it breaks off in a moment. @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  cancel(repository: RepositoryName, id: string): Promise<void>
}

export interface UploadsOptions {
  database: Database
  driver: StorageDriver
  /** The name of the driver's place in `blob_locations`. */
  location: string
  log: Logger
}

/** Blobs of which it is remembered that their bytes are stored while their rows are not. */
const unrecordedKept = 4096

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createUploads({ database, driver, location, log }: UploadsOptions): Uploads {
  const holds = createUploadHolds({ database, log })
  const digests = createDigestMemory({ driver })
  /** By upload: a commit takes the upload away, so that a finish whose rows were not written can't begin anew. */
  const unrecorded = new LRUCache<string, { repository: RepositoryName; blob: StoredBlob }>({ max: unrecordedKept })

  /** Writes down a blob whose bytes are stored, or remembers that it is still to be done. */
  async function record(repository: RepositoryName, blob: StoredBlob, id: string): Promise<void> {
    unrecorded.set(id, { repository, blob })
    await recordBlob({ database, driver }, repository, blob, id)
    unrecorded.delete(id)
  }

  /** What an earlier finish of the upload left to be written down. */
  async function findUnrecorded(
    repository: RepositoryName,
    id: string,
    digest: Digest,
  ): Promise<StoredBlob | undefined> {
    const left = unrecorded.get(id)
    if (left?.repository !== repository || left.blob.digest !== digest) return undefined
    return (await driver.size(left.blob.key)) === left.blob.size ? left.blob : undefined
  }

  /** Runs the work with the upload held, and in every case gives it back or ends it. */
  async function holding<T>(
    repository: RepositoryName,
    id: string,
    work: (hold: UploadHold) => Promise<T>,
  ): Promise<T> {
    const hold = await holds.hold(repository, checkedId(id))
    try {
      return await work(hold)
    } catch (error) {
      await hold.release().catch(cause => log.warn({ err: cause, upload: id }, 'upload not released'))
      throw translated(error)
    }
  }

  /** Gives an upload back in this state. Where it was cancelled meanwhile, no one else knows of its bytes: they go. */
  async function giveBack(hold: UploadHold, state: UploadState): Promise<void> {
    const { id, repository } = hold.row
    await hold.save(state).catch(async error => {
      if ((await findUpload(database, repository, id)) === undefined) await driver.dropUpload(state)
      throw error
    })
  }

  function open(row: UploadRow): Promise<WriteSession> {
    if (row.driver_state === null) return driver.createUpload()
    return driver.resumeUpload({ offset: row.byte_offset, driver: row.driver_state })
  }

  return {
    async begin(repository, { algorithm }) {
      const id = randomUUID()
      await insertUpload(database, { id, repository, algorithm: algorithm ?? null, location })
      return { id, repository, offset: 0 }
    },

    async status(repository, id) {
      const row = await findUpload(database, repository, checkedId(id))
      if (row === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
      return { id, repository, offset: row.byte_offset }
    },

    append: (repository, id, body) =>
      holding(repository, id, async hold => {
        const before = hold.row.byte_offset
        checkOrder(before, body.range)
        const session = await open(hold.row)
        // A copy: what is remembered has to fit the offset in the row, whatever comes of this request.
        const digester = digests.resume(hold.row)?.digester.copy()
        const cut = cutOff(body.stream, hold.signal)
        try {
          const begun = await session.save()
          hold.trackProgress(() => session.save())
          const received = await take(session, body, digester).catch(async error => {
            await giveBack(hold, begun)
            throw error
          })
          const state = await session.save()
          await giveBack(hold, state)
          digests.remember(id, digester, state.offset)
          if (received.failure !== undefined) throw brokenOff(received.failure)
          return { id, repository, offset: state.offset }
        } finally {
          cut()
          await session.close()
        }
      }),

    async finish(repository, id, digest, body) {
      const left = await findUnrecorded(repository, id, digest)
      if (left !== undefined) return record(repository, left, id)
      return holding(repository, id, async hold => {
        checkOrder(hold.row.byte_offset, body.range)
        const session = await open(hold.row)
        const before = await session.save()
        const remembered = digests.resume(hold.row, algorithmOf(digest))
        const digester = remembered?.digester.copy()
        const cut = cutOff(body.stream, hold.signal)
        try {
          hold.trackProgress(async () => before)
          const received = await take(session, body, digester)
          if (received.failure !== undefined) throw brokenOff(received.failure)
          const state = await session.save()
          checkDigest(digest, await digests.digestOf(state, algorithmOf(digest), digester))
          hold.signal.throwIfAborted()
          const key = await session.commit(blobKey(digest))
          await record(repository, { digest, size: state.offset, location, key }, id)
          hold.ended()
          digests.forget(id)
        } catch (error) {
          await giveBack(hold, before).catch(cause => log.warn({ err: cause, upload: id }, 'upload not released'))
          digests.remember(id, remembered?.digester, before.offset)
          throw error
        } finally {
          cut()
          await session.close()
        }
      })
    },

    async push(repository, digest, body) {
      checkOrder(0, body.range)
      const session = await driver.createUpload().catch((error: unknown) => {
        throw translated(error)
      })
      const digester = createDigester(algorithmOf(digest))
      try {
        const received = await take(session, body, digester)
        if (received.failure !== undefined) throw brokenOff(received.failure)
        checkDigest(digest, digester.digest())
        const key = await session.commit(blobKey(digest))
        await recordBlob({ database, driver }, repository, { digest, size: received.bytes, location, key }, null)
      } catch (error) {
        await driver.dropUpload(await session.save())
        throw translated(error)
      } finally {
        await session.close()
      }
    },

    async cancel(repository, id) {
      const row = await removeUpload(database, repository, checkedId(id))
      if (row === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
      digests.forget(id)
      unrecorded.delete(id)
      if (row.driver_state !== null) await driver.dropUpload({ offset: row.byte_offset, driver: row.driver_state })
    },
  }
}

/**
 * Streams a body to the end of an open upload.
 * @throws RegistryError SIZE_INVALID, or what the driver throws: then none of the body counts
 */
async function take(session: WriteSession, body: UploadBody, digester: Digester | undefined) {
  const received = await receive(body.stream, session, digester)
  if (received.failure === undefined && body.range !== undefined && received.bytes !== lengthOf(body.range)) {
    throw new RegistryError('SIZE_INVALID', {
      message: `the Content-Range speaks of ${lengthOf(body.range)} bytes, the body had ${received.bytes}`,
    })
  }
  return received
}

/** What a client is told of a driver's refusal. */
function translated(error: unknown): unknown {
  if (error instanceof UploadLost) return new RegistryError('BLOB_UPLOAD_UNKNOWN', { cause: error })
  if (error instanceof OutOfSpace) return new RegistryError('INSUFFICIENT_STORAGE', { cause: error })
  return error
}

/** Ids are ours: what does not look like one is the id of no upload. */
function checkedId(id: string): string {
  if (!uuid.test(id)) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
  return id
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
function cutOff(stream: Readable, signal: AbortSignal): () => void {
  const cut = () => {
    if (signal.reason instanceof Error) stream.destroy(signal.reason)
  }
  signal.addEventListener('abort', cut)
  return () => signal.removeEventListener('abort', cut)
}
