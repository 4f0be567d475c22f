import { UploadLost, type WriteSession } from '../driver.ts'
import { createPartWriter, type PartMemory } from '../parts.ts'
import { smallestPart } from './options.ts'
import { lengthOf, type S3Upload, type StoredPart, stateOf, tailOf } from './state.ts'
import { isMissing, type S3Store } from './store.ts'

export interface SessionOptions {
  store: S3Store
  memory: PartMemory
  upload: S3Upload
  /** The bytes of the upload's tail. */
  tail: Uint8Array
  /** Whether an object that is smaller than a part goes to the key that the commit proposes. */
  contentKeys: boolean
}

/** S3 takes 10,000 parts of one object: after so many they grow, so that this is no bound on its size. */
const partsOfOneSize = 4_000
const partsOfLargerSizes = 1_000

/**
 * An upload that is being written. What is too little for a part stays in memory and, when the state is saved, in an
 * object of its own.
 */
export function createSession({ store, memory, upload, tail, contentKeys }: SessionOptions): WriteSession {
  const { id, key } = upload
  let { multipart } = upload
  let beginning: Promise<string> | undefined
  const tails = [...upload.tails]
  /** The offset at which the tail was saved last. */
  let savedTail = upload.tail > 0 ? lengthOf(upload.parts) + upload.tail : undefined
  let ending: Promise<void> = Promise.resolve()

  const writer = createPartWriter<StoredPart>({
    memory,
    before: { parts: upload.parts, bytes: lengthOf(upload.parts), rest: tail },
    sizeOf: number => memory.chunkSize * 2 ** Math.max(0, Math.ceil((number - partsOfOneSize) / partsOfLargerSizes)),
    async send(bytes, number) {
      try {
        const etag = await store.putPart(key, await begun(), number, bytes)
        return { etag, size: bytes.length }
      } catch (error) {
        throw isMissing(error) ? new UploadLost({ cause: error }) : error
      }
    },
  })

  async function begun(): Promise<string> {
    if (multipart !== undefined) return multipart
    beginning ??= store.beginMultipart(key)
    multipart = await beginning
    return multipart
  }

  /** Parts may have begun the multipart upload, or be about to. */
  const inParts = () => multipart !== undefined || beginning !== undefined || writer.rest.length < writer.length

  async function complete(): Promise<void> {
    try {
      await writer.flush()
      const parts = await writer.settled()
      await store.complete(
        key,
        await begun(),
        parts.map(({ etag }) => etag),
      )
    } catch (error) {
      if (!isMissing(error) && !(error instanceof UploadLost)) throw error
      // It may have been completed before: by a request whose answer was lost, or to be read (s3.ts).
      if ((await store.size(key)) !== writer.length) throw new UploadLost({ cause: error })
    }
  }

  /** An object of one piece. An upload that was dropped meanwhile has lost its tail. */
  async function putWhole(target: string): Promise<void> {
    const [there] = await Promise.all([
      savedTail === undefined ? true : store.size(tailOf(id, savedTail)).then(size => size !== undefined),
      store.put(target, writer.rest),
    ])
    if (there) return
    if (target === key) await store.delete([target])
    throw new UploadLost()
  }

  return {
    get length() {
      return writer.length
    },

    write: chunks => writer.write(chunks),

    async save() {
      if (writer.rest.length >= smallestPart) await writer.flush()
      const parts = await writer.settled()
      const { rest, length } = writer
      if (rest.length > 0 && savedTail !== length) {
        await store.put(tailOf(id, length), rest)
        savedTail = length
        if (!tails.includes(length)) tails.push(length)
      }
      return stateOf({ id, key, multipart, parts, tail: rest.length, tails })
    },

    stored() {
      const parts = writer.stored()
      // A tail counts only while nothing came behind it.
      const tail = savedTail === writer.length ? writer.length - lengthOf(parts) : 0
      return stateOf({ id, key, multipart, parts, tail, tails })
    },

    async commit(proposedKey) {
      const target = inParts() || !contentKeys ? key : proposedKey
      if (inParts()) await complete()
      else await putWhole(target)
      // What is left behind of them the purger finds.
      if (tails.length > 0) ending = store.delete(tails.map(offset => tailOf(id, offset))).catch(() => {})
      return target
    },

    async close() {
      await writer.close()
      await ending
    },
  }
}
