import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { LRUCache } from 'lru-cache'
import { type ByteRange, ObjectNotFound, type StorageDriver, UploadLost, type UploadState } from '../driver.ts'
import { createPartMemory } from '../parts.ts'
import { readRange } from '../ranges.ts'
import { checkStore } from './check.ts'
import type { S3Options } from './options.ts'
import { createSession } from './session.ts'
import { folderOf, lengthOf, ownKey, type S3Upload, partsOfTail, tracesOf, uploadOf } from './state.ts'
import { createS3Store, isMissing } from './store.ts'

/** The commit comes right behind the reading. */
const sealedKept = 1000

/**
 * Blobs in S3, or in a server that speaks as it does (Ceph RADOS Gateway, NooBaa, MinIO). Below the root:
 *
 *   blobs/ab/<uuid>          an object, under the key that was chosen when its upload began
 *   uploads/<uuid>/<offset>-<run>  the last bytes of an upload that was saved, where they are too few for a part
 *
 * Bytes go to their key and stay there: a commit completes a multipart upload, or puts what is smaller than a part.
 *
 * @throws Error with what to do when the bucket can't be used
 */
export async function createS3Driver(options: S3Options): Promise<StorageDriver> {
  const { contentKeys } = options
  const probe = createS3Store(options, { patient: false })
  try {
    await checkStore(probe, options)
  } catch (error) {
    probe[Symbol.dispose]()
    throw error
  }
  const store = createS3Store(options, { patient: true })
  const memory = createPartMemory(options)

  /** States whose bytes this process has made an object of, to read them. */
  const sealed = new LRUCache<string, true>({ max: sealedKept })

  const session = (upload: S3Upload, tail: Uint8Array) =>
    createSession({
      store,
      memory,
      upload,
      tail,
      contentKeys,
      isSealed: state => sealed.has(JSON.stringify(state.driver)),
    })

  async function read(name: string, range: ByteRange): Promise<Readable> {
    // No bytes is a range that can't be asked for.
    if (range.last < range.first) {
      if ((await store.size(name)) === undefined) throw new ObjectNotFound(name)
      return Readable.from([])
    }
    const open = (rest: ByteRange) => store.get(name, rest)
    try {
      return readRange(range, open, await open(range))
    } catch (error) {
      throw isMissing(error) ? new ObjectNotFound(name, { cause: error }) : error
    }
  }

  async function tailOfUpload({ tail, tails }: S3Upload): Promise<Buffer> {
    if (tail === 0) return Buffer.alloc(0)
    try {
      return await buffer(await read(tails.at(-1) ?? '', { first: 0, last: tail - 1 }))
    } catch (error) {
      throw error instanceof ObjectNotFound ? new UploadLost({ cause: error }) : error
    }
  }

  return {
    name: 's3',

    async createUpload({ key } = {}) {
      const id = randomUUID()
      const chosen = contentKeys && key !== undefined ? key : ownKey(id)
      return session({ id, key: chosen, multipart: undefined, parts: [], tail: 0, tails: [] }, new Uint8Array())
    },

    async resumeUpload(state) {
      const upload = found(state)
      const { key, multipart } = upload
      if (multipart !== undefined && !(await store.hasMultipart(key, multipart))) throw new UploadLost()
      return session(upload, await tailOfUpload(upload))
    },

    async readUpload(state) {
      const upload = found(state)
      const tail = await tailOfUpload(upload)
      if (upload.multipart === undefined) return Readable.from(tail.length === 0 ? [] : [tail])
      // Parts can be read when they are an object, and not before: nothing can be written to the upload any more.
      const sealing = session(upload, tail)
      try {
        await sealing.commit(upload.key)
        sealed.set(JSON.stringify(state.driver), true)
      } finally {
        await sealing.close()
      }
      return read(upload.key, { first: 0, last: state.offset - 1 })
    },

    async dropUpload(state) {
      const { id, key, multipart } = tracesOf(state)
      if (key !== undefined && multipart !== undefined) await store.abort(key, multipart)
      if (id === undefined) return
      // An older state may not know of its multipart upload.
      if (key === ownKey(id) && multipart === undefined)
        for await (const left of store.multiparts(key, new Date(Date.now() + 86_400_000)))
          await store.abort(key, left.id)
      await store.deleteFolder(folderOf(id))
    },

    async *abandonedUploads(before) {
      for await (const { name, id } of store.multiparts('blobs/', before)) {
        const { parts, modified } = await store.partsOf(name, id)
        // Begun long ago, and written to still: a row learns of it when the request ends.
        if (modified === undefined || modified < before)
          yield { offset: lengthOf(parts), driver: { key: name, multipart: id } }
      }
      /** By upload: of several tails the last one counts. */
      const tails = new Map<string, number>()
      for await (const { name } of store.list('uploads/', before)) {
        const tail = partsOfTail(name)
        if (tail !== undefined) tails.set(tail.id, Math.max(tail.offset, tails.get(tail.id) ?? 0))
      }
      for (const [id, offset] of tails) yield { offset, driver: { id } }
    },

    read,
    size: key => store.size(key),
    delete: keys => store.delete(keys),
    signUrl: (key, sign) => store.sign(key, sign),
    check: () => checkStore(probe, { ...options, createBucket: false }),

    async [Symbol.asyncDispose]() {
      probe[Symbol.dispose]()
      store[Symbol.dispose]()
    },
  }
}

function found(state: UploadState): S3Upload {
  const upload = uploadOf(state)
  if (upload === undefined) throw new UploadLost()
  return upload
}
