import { randomBytes, randomUUID } from 'node:crypto'
import { UploadLost, type UploadState, type WriteSession } from '../driver.ts'
import { createPartWriter, type PartMemory } from '../parts.ts'
import { smallestPart } from './options.ts'
import { lengthOf, ownKey, type S3Upload, type StoredPart, stateOf, tailOf } from './state.ts'
import { isMissing, nameOf, type S3Store } from './store.ts'

export interface SessionOptions {
  store: S3Store
  memory: PartMemory
  upload: S3Upload
  /** The bytes of the upload's tail. */
  tail: Uint8Array
  /** Whether an object that is smaller than a part goes to the key that the commit proposes. */
  contentKeys: boolean
  /** Whether this process has completed the upload as this state has it, to read it (`readUpload` in s3.ts). */
  isSealed: (state: UploadState) => boolean
}

/** S3 takes 10,000 parts of one object: after so many they grow, so that this is no bound on its size. */
const partsOfOneSize = 4_000
const partsOfLargerSizes = 1_000

/**
 * An upload that is being written. What is too little for a part stays in memory and, when the state is saved, in an
 * object of its own.
 */
export function createSession(options: SessionOptions): WriteSession {
  const { store, memory, upload, contentKeys, isSealed } = options
  const { id, key } = upload
  const run = randomBytes(8).toString('hex')
  let { multipart } = upload
  let beginning: Promise<string> | undefined
  /** The last one is the one that counts. */
  const tails = [...upload.tails]
  /** The offset at which the tail was saved last. */
  let savedTail = upload.tail > 0 ? lengthOf(upload.parts) + upload.tail : undefined
  let ending: Promise<void> = Promise.resolve()

  const writer = createPartWriter<StoredPart>({
    memory,
    before: { parts: upload.parts, bytes: lengthOf(upload.parts), rest: options.tail },
    sizeOf,
    async send(bytes, number) {
      try {
        const etag = await store.putPart(key, await begun(), number, bytes)
        return { etag, size: bytes.length }
      } catch (error) {
        throw isMissing(error) ? new UploadLost({ cause: error }) : error
      }
    },
  })

  function sizeOf(number: number): number {
    return memory.chunkSize * 2 ** Math.max(0, Math.ceil((number - partsOfOneSize) / partsOfLargerSizes))
  }

  async function begun(): Promise<string> {
    if (multipart !== undefined) return multipart
    beginning ??= store.beginMultipart(key)
    multipart = await beginning
    return multipart
  }

  /** Parts may have begun the multipart upload, or be about to. */
  const inParts = () => multipart !== undefined || beginning !== undefined || writer.rest.length < writer.length

  async function complete(): Promise<void> {
    const whole = state(writer.stored())
    try {
      await writer.flush()
      const etags = (await writer.settled()).map(({ etag }) => etag)
      await store.complete(key, await begun(), { etags, size: writer.length })
    } catch (error) {
      const isGone = isMissing(error) || error instanceof UploadLost
      // No other object of as many bytes counts: it may have been completed with other ones.
      if (isGone && whole.offset === writer.length && isSealed(whole)) return
      if (isGone || nameOf(error) === 'InvalidPart') throw new UploadLost({ cause: error })
      throw error
    }
  }

  /** An object of one piece. An upload that was dropped meanwhile has lost its tail. */
  async function putWhole(proposedKey: string): Promise<string> {
    // Not the upload's own key: if it has to be taken back, nobody else may have put it.
    const target = contentKeys ? proposedKey : ownKey(randomUUID())
    const lastTail = savedTail === undefined ? undefined : tails.at(-1)
    // Both are waited for, also when one fails: a request that is on its way still looks into the buffer.
    const [looked, put] = await Promise.allSettled([
      lastTail === undefined ? true : store.size(lastTail).then(size => size !== undefined),
      store.put(target, writer.rest),
    ])
    if (put.status === 'rejected') throw put.reason
    if (looked.status === 'fulfilled' && looked.value) return target
    if (!contentKeys) await store.delete([target])
    throw looked.status === 'rejected' ? looked.reason : new UploadLost()
  }

  function state(parts: readonly StoredPart[]): UploadState {
    // A tail counts only while nothing came behind it.
    const tail = savedTail === writer.length ? writer.length - lengthOf(parts) : 0
    return stateOf({ id, key, multipart, parts, tail, tails })
  }

  return {
    get length() {
      return writer.length
    },

    write: chunks => writer.write(chunks),

    async save() {
      // The larger the upload, the larger the least part: there is an end to their number.
      const least = Math.max(smallestPart, sizeOf(writer.stored().length + 1) / 4)
      if (writer.rest.length >= least) await writer.flush()
      const parts = await writer.settled()
      const { rest, length } = writer
      if (rest.length > 0 && savedTail !== length) {
        const name = tailOf(id, length, run)
        await store.put(name, rest)
        savedTail = length
        tails.push(name)
      }
      return state(parts)
    },

    stored: () => state(writer.stored()),

    async commit(proposedKey) {
      let stands = key
      if (inParts()) await complete()
      else stands = await putWhole(proposedKey)
      // What is left behind of them the purger finds.
      if (tails.length > 0) ending = store.delete(tails).catch(() => {})
      return stands
    },

    async close() {
      await writer.close()
      await ending
    },
  }
}
