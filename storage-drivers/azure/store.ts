import { Readable } from 'node:stream'
import { AnonymousCredential, type BlobRequestConditions } from '@azure/storage-blob'
import pLimit from 'p-limit'
import type { ByteRange } from '../driver.ts'
import { persistently } from '../retries.ts'
import type { AzureClient } from './client.ts'
import { isConflict, isMissing, mayPass } from './failures.ts'
import { type AzureOptions, prefixOf } from './options.ts'

/** The requests to Azure that the driver makes, on names below its root; errors are Azure's own. */
export interface AzureStore {
  createContainer(): Promise<void>
  /** An object of one piece. @returns the store's time */
  put(name: string, body: Uint8Array, settings?: Labels & { conditions?: Conditions }): Promise<Date | undefined>
  /** Exactly the range, or what there is of it. @throws the error of a missing object */
  get(name: string, range: ByteRange): Promise<Readable>
  /** Undefined where there is no such object. */
  find(name: string): Promise<Found | undefined>
  delete(names: readonly string[]): Promise<void>
  /** Removes an object while it is the one with this ETag. */
  deleteExactly(name: string, etag: string): Promise<void>
  /** Stores a block beside the object of this name, which need not be there. */
  putBlock(name: string, id: string, body: Uint8Array): Promise<void>
  /** Makes an object of exactly these blocks. All others that are beside it are gone then. */
  commit(name: string, ids: readonly string[], settings: Labels & { conditions: Conditions }): Promise<void>
  /** Has an object be as young as a new one. @throws the error of a missing object */
  touch(name: string): Promise<void>
  /** Bytes of all the blocks that are an object's or stand beside it. */
  bytesOfBlocks(name: string): Promise<number>
  /** Objects below a folder that nothing was written to since then. Not for a request's way: lists are slow. */
  list(folder: string, before: Date): AsyncIterable<string>
}

export interface Found {
  size: number
  etag: string
  labels: Record<string, string>
}

/** What is kept with an object, for the driver itself. */
export interface Labels {
  labels?: Record<string, string>
}

export type Conditions = Pick<BlobRequestConditions, 'ifMatch' | 'ifNoneMatch'>

/** What one request for deletion takes. */
const mostDeleted = 256
/** Requests at a time where each deletes one object. */
const deletedAtOnce = 16
/** An object of which somebody made a snapshot could not be deleted otherwise. */
const withSnapshots = { deleteSnapshots: 'include' } as const

/** @param patient whether requests are repeated while they fail with what may pass */
export function createAzureStore(
  { service, credential }: AzureClient,
  options: AzureOptions,
  { patient }: { patient: boolean },
): AzureStore {
  const ask = patient ? askAgain : <Result>(request: () => Promise<Result>) => request()
  const container = service.getContainerClient(options.container)
  const prefix = prefixOf(options)
  const at = (name: string) => container.getBlockBlobClient(prefix + name)
  const batches = container.getBlobBatchClient()
  /** A signature that someone else made may be good for objects and not for batches of them. */
  let deletesMany = !(credential instanceof AnonymousCredential)

  /** Deletes many at once, if that can be done. @returns the names that may still be there */
  async function removeMany(names: readonly string[]): Promise<readonly string[]> {
    if (names.length < 2 || !deletesMany) return names
    try {
      const { subResponses } = await batches.deleteBlobs(names.map(at), withSnapshots)
      return names.filter((_, index) => ![202, 404].includes(subResponses[index]?.status ?? 0))
    } catch (error) {
      // What keeps an object from being deleted is told when that alone is asked for.
      deletesMany = mayPass(error)
      return names
    }
  }

  async function removeOne(name: string): Promise<void> {
    await ask(() => at(name).delete(withSnapshots)).catch(rethrowUnlessMissing)
  }

  async function remove(names: readonly string[]): Promise<void> {
    const atOnce = pLimit(deletedAtOnce)
    for (let from = 0; from < names.length; from += mostDeleted)
      await atOnce.map(await removeMany(names.slice(from, from + mostDeleted)), removeOne)
  }

  return {
    async createContainer() {
      await ask(() => container.create()).catch((error: unknown) => {
        // Another process was quicker.
        if (!isConflict(error)) throw error
      })
    },

    async deleteExactly(name, etag) {
      const settings = { ...withSnapshots, conditions: { ifMatch: etag } }
      await ask(() => at(name).delete(settings)).catch((error: unknown) => {
        if (!isConflict(error)) rethrowUnlessMissing(error)
      })
    },

    async put(name, body, { labels = {}, conditions = {} } = {}) {
      const settings = { metadata: labels, conditions }
      const { date } = await ask(() => at(name).upload(bufferOf(body), body.length, settings))
      return date
    },

    async get(name, { first, last }) {
      const { readableStreamBody: body } = await ask(() =>
        at(name).download(first, last - first + 1, { maxRetryRequests: 0 }),
      )
      if (!(body instanceof Readable)) throw new Error('an answer of the store has no body')
      // It may break off before anyone reads it, who then is told.
      return body.on('error', () => {})
    },

    async find(name) {
      try {
        const { contentLength = 0, etag = '', metadata = {} } = await ask(() => at(name).getProperties())
        return { size: contentLength, etag, labels: metadata }
      } catch (error) {
        return rethrowUnlessMissing(error)
      }
    },

    delete: remove,

    async putBlock(name, id, body) {
      await ask(() => at(name).stageBlock(base64(id), bufferOf(body), body.length))
    },

    async commit(name, ids, { labels = {}, conditions }) {
      await ask(() => at(name).commitBlockList(ids.map(base64), { metadata: labels, conditions }))
    },

    async touch(name) {
      await ask(() => at(name).setMetadata({}))
    },

    async bytesOfBlocks(name) {
      try {
        const { committedBlocks = [], uncommittedBlocks = [] } = await ask(() => at(name).getBlockList('all'))
        return [...committedBlocks, ...uncommittedBlocks].reduce((sum, { size }) => sum + size, 0)
      } catch (error) {
        rethrowUnlessMissing(error)
        return 0
      }
    },

    async *list(folder, before) {
      for (let token: string | undefined, more = true; more;) {
        const from = token === undefined ? {} : { continuationToken: token }
        const pages = () => container.listBlobsFlat({ prefix: prefix + folder }).byPage(from)
        const { value: page } = await ask(() => pages().next())
        if (page === undefined) return
        for (const { name, properties } of page.segment.blobItems)
          if (properties.lastModified < before) yield name.slice(prefix.length)
        token = page.continuationToken
        more = token !== undefined && token !== ''
      }
    },
  }
}

/** Every request is repeated while it fails with what may pass: a body is bytes in memory, and can be sent again. */
export function askAgain<Result>(request: () => Promise<Result>): Promise<Result> {
  return persistently(request, mayPass)
}

function rethrowUnlessMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
  return undefined
}

/** The same bytes: of other views than Node's own the SDK would send all that lies beneath them. */
function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
