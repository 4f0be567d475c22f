import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { type ByteRange, ObjectNotFound, type StorageDriver, UploadLost, type UploadState } from '../driver.ts'
import { createPartMemory } from '../parts.ts'
import { readRange } from '../ranges.ts'
import { checkStore } from './check.ts'
import { createAzureClient } from './client.ts'
import { completeBlocks, drop, isOver } from './completion.ts'
import { isMissing } from './failures.ts'
import type { AzureOptions } from './options.ts'
import { createSession } from './session.ts'
import { createSigner } from './signing.ts'
import { type AzureUpload, idOf, markOf, marks, ownKey, uploadOf, uploadOfMark } from './state.ts'
import { createAzureStore } from './store.ts'

/**
 * Blobs in Azure Blob Storage, or in Azurite. Below the root:
 *
 *   blobs/ab/<uuid>   an object, under the key that was chosen when its upload began
 *   uploads/<uuid>    an empty object: the mark of an upload that has blocks and is not committed
 *
 * Bytes go to their key as blocks and stay there: a commit tells Azure which blocks the object has, or puts what is
 * smaller than a block.
 *
 * @throws Error with what to do when the container can't be used
 */
export async function createAzureDriver(options: AzureOptions): Promise<StorageDriver> {
  const client = await createAzureClient(options)
  const store = createAzureStore(client, options, { patient: true })
  // Who starts Berth, or asks for its health, wants to know it now.
  const probe = createAzureStore(client, options, { patient: false })
  const memory = createPartMemory(options)
  const signUrl = createSigner(client, options)
  try {
    await checkStore(probe, options)
  } catch (error) {
    client[Symbol.dispose]()
    throw error
  }

  const session = (upload: AzureUpload) => createSession({ store, memory, upload })

  async function read(key: string, range: ByteRange): Promise<Readable> {
    // No bytes is a range that can't be asked for.
    if (range.last < range.first) {
      if ((await store.find(key)) === undefined) throw new ObjectNotFound(key)
      return Readable.from([])
    }
    const open = (rest: ByteRange) => store.get(key, rest)
    try {
      return readRange(range, open, await open(range))
    } catch (error) {
      throw isMissing(error) ? new ObjectNotFound(key, { cause: error }) : error
    }
  }

  return {
    name: 'azure',

    createUpload: async () => session({ id: randomUUID(), blocks: [] }),

    async resumeUpload(state) {
      const upload = found(state)
      const { id, blocks } = upload
      const [mark, over] = await Promise.all([
        blocks.length === 0 ? true : store.find(markOf(id)).then(mark => mark !== undefined),
        isOver(store, id),
      ])
      if (!mark || over) throw new UploadLost()
      return session(upload)
    },

    async readUpload(state) {
      const { id, blocks } = found(state)
      if (blocks.length === 0) return Readable.from([])
      // Blocks can be read when they are an object, and not before. Blocks of later states are lost by this.
      await completeBlocks(store, id, { stage: 'read', ids: blocks.map(({ id }) => id) })
      return read(ownKey(id), { first: 0, last: state.offset - 1 })
    },

    async dropUpload(state) {
      const id = idOf(state)
      if (id !== undefined) await drop(store, id)
    },

    async *abandonedUploads(before) {
      for await (const name of store.list(marks, before)) {
        const id = uploadOfMark(name)
        if (id !== undefined) yield { offset: await store.bytesOfBlocks(ownKey(id)), driver: { id } }
      }
    },

    read,
    size: async key => (await store.find(key))?.size,
    delete: keys => store.delete(keys),
    ...(signUrl === undefined ? {} : { signUrl }),
    check: () => checkStore(probe, { ...options, createContainer: false }),

    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
    },
  }
}

function found(state: UploadState): AzureUpload {
  const upload = uploadOf(state)
  if (upload === undefined) throw new UploadLost()
  return upload
}
