import { randomBytes } from 'node:crypto'
import { UploadLost, type WriteSession } from '../driver.ts'
import { createPartWriter, type PartMemory } from '../parts.ts'
import { complete, completeBlocks } from './completion.ts'
import { isMissing } from './failures.ts'
import { type AzureUpload, type Block, blockId, lengthOf, markOf, ownKey, stateOf } from './state.ts'
import type { AzureStore } from './store.ts'

export interface SessionOptions {
  store: AzureStore
  memory: PartMemory
  upload: AzureUpload
}

/** Azure takes 50,000 blocks of an object: they grow so that this is no bound on its size, up to so many bytes. */
const blocksOfOneSize = 5_000
const largestBlock = 256 * 1024 * 1024
/** How old an upload's mark gets while blocks come. */
const markRenewedMs = 15_000

/** An upload that is being written: what is saved is a block, however small. */
export function createSession({ store, memory, upload }: SessionOptions): WriteSession {
  const { id } = upload
  const key = ownKey(id)
  const session = randomBytes(6).toString('base64url')
  let marked: Promise<unknown> | undefined
  let markedAt = 0
  let ending: Promise<void> = Promise.resolve()

  const writer = createPartWriter<Block>({
    memory,
    before: { parts: upload.blocks, bytes: lengthOf(upload.blocks) },
    sizeOf(number) {
      const grown = memory.chunkSize * 2 ** Math.floor((number - 1) / blocksOfOneSize)
      return Math.min(grown, Math.max(memory.chunkSize, largestBlock))
    },
    async send(bytes, number) {
      const marking = mark()
      // Told below: until the block is stored its bytes may not be let go of.
      marking.catch(() => {})
      const block = { id: blockId(session, number), size: bytes.length }
      await store.putBlock(key, block.id, bytes)
      await marking
      return block
    },
  })

  function mark(): Promise<unknown> {
    const now = performance.now()
    if (marked === undefined) {
      marked = upload.blocks.length === 0 ? store.put(markOf(id), new Uint8Array()) : renewMark()
      markedAt = now
    } else if (now - markedAt > markRenewedMs) {
      marked = marked.then(renewMark)
      markedAt = now
    }
    return marked
  }

  async function renewMark(): Promise<void> {
    try {
      await store.touch(markOf(id))
    } catch (error) {
      throw isMissing(error) ? new UploadLost({ cause: error }) : error
    }
  }

  return {
    get length() {
      return writer.length
    },

    write: chunks => writer.write(chunks),

    async save() {
      await writer.flush()
      return stateOf({ id, blocks: await writer.settled() })
    },

    stored: () => stateOf({ id, blocks: writer.stored() }),

    async commit() {
      if (writer.rest.length === writer.length) {
        await complete(store, id, {
          stage: 'committed',
          last: blockId(session, 0),
          make: (key, settings) => store.put(key, writer.rest, settings),
        })
        return key
      }
      await writer.flush()
      const blocks = await writer.settled()
      await completeBlocks(store, id, { stage: 'committed', ids: blocks.map(({ id }) => id) })
      // Who finds the mark of a committed upload leaves its object alone.
      ending = store.delete([markOf(id)]).catch(() => {})
      return key
    },

    async close() {
      await writer.close()
      await ending
    },
  }
}
