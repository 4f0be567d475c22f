import { randomUUID } from 'node:crypto'
import { UploadLost, type UploadState, type WriteSession } from '../driver.ts'
import { createPartWriter, type PartMemory } from '../parts.ts'
import { statusOf } from './answers.ts'
import { joinSegments, type SegmentSizes } from './segments.ts'
import {
  folderOf,
  lengthOf,
  markerOf,
  newRun,
  partsOfName,
  plainKey,
  type Segment,
  segmentName,
  segmentNames,
  segmentsOf,
  stateOf,
  type SwiftUpload,
  type Tail,
  tailName,
} from './state.ts'
import type { SwiftStore } from './store.ts'

export interface SessionOptions {
  store: SwiftStore
  memory: PartMemory
  sizes: SegmentSizes
  /** Segments that one manifest can name. */
  perManifest: number
  upload: SwiftUpload
  /** The bytes of the upload's tail. */
  tail: Uint8Array
  /** Whether other sessions wrote to the upload before. */
  resumed: boolean
}

/** Statuses that a manifest is refused with when what it names is not there, or not what it was. */
const refusals = new Set([400, 404, 409, 422])

/**
 * An upload that is being written. What is enough for a segment goes to Swift at once, several at a time. What is too
 * little for one stays in memory and, when the state is saved, in an object of its own: an upload without segments is
 * committed as an object of one piece, and one that is saved after each few bytes does not run out of segments.
 */
export async function openSession(options: SessionOptions): Promise<WriteSession> {
  const { store, memory, sizes, perManifest, upload, resumed } = options
  const { id } = upload
  const run = newRun()
  /** Resolves when the upload is marked as one that has segments; undefined before it has any. */
  let marked: Promise<void> | undefined = upload.segments.length > 0 ? Promise.resolve() : undefined
  let tail = upload.tail
  const tails: Tail[] = tail === undefined ? [] : [tail]
  let count = upload.segments.length
  /** Segments that a state told someone of. */
  let told = upload.segments.length
  let ending: Promise<void> = Promise.resolve()

  const writer = createPartWriter<Segment>({
    memory,
    before: { parts: upload.segments, bytes: lengthOf(upload.segments) },
    sizeOf: sizes.sizeOf,
    async send(bytes, number) {
      count = Math.max(count, number)
      if (number > sizes.most) throw new Error(`an object can have no more than ${sizes.most} segments in this Swift`)
      // Before the segment: whatever ends this process, it is found again.
      marked ??= mark()
      await marked
      const etag = await store.put(segmentName(id, number, run), bytes)
      return { run, etag, size: bytes.length }
    },
  })
  await writer.write([options.tail])

  async function mark(): Promise<void> {
    if (tail !== undefined && (await store.head(tailName(id, tail))) === undefined) throw new UploadLost()
    await store.put(markerOf(id), new Uint8Array())
  }

  async function saveTail(): Promise<void> {
    const offset = writer.length
    const { length: size } = writer.rest
    if (size === 0 || tail?.offset === offset) return
    const next = { run, size, offset }
    tails.push(next)
    // Its memory may become part of a segment, and be used again, before it is sent.
    await store.put(tailName(id, next), Buffer.from(writer.rest))
    tail = next
  }

  function tell(segments: readonly Segment[]): UploadState {
    told = Math.max(told, segments.length)
    const goesOn = tail !== undefined && tail.offset - tail.size === lengthOf(segments)
    return stateOf({ id, segments, ...(tail !== undefined && goesOn ? { tail } : {}) })
  }

  /** An object of one piece. Its key is no other commit's: it can be taken back. */
  async function putWhole(): Promise<string> {
    const key = plainKey(randomUUID())
    const [there] = await Promise.all([
      tail === undefined || store.head(tailName(id, tail)).then(head => head !== undefined),
      store.put(key, writer.rest),
    ])
    if (there) return key
    await store.delete([key])
    throw new UploadLost()
  }

  async function isOpen(): Promise<boolean> {
    const marker = await store.head(markerOf(id))
    return marker !== undefined && !marker.marked
  }

  /**
   * An object of segments. Whoever drops the upload marks it, then looks for the object, then removes the segments; this
   * makes the object, then looks for the mark: so one of the two sees the other.
   */
  async function join(): Promise<string> {
    await marked
    const [open] = await Promise.all([isOpen(), writer.flush()])
    const segments = await writer.settled()
    if (!open) throw await lost(segments)
    const key = await joinSegments(store, { upload: { id, segments }, run, perManifest }).catch(async error => {
      if (!refusals.has(statusOf(error) ?? 0) || (await isWhole({ id, segments }))) throw error
      throw await lost(segments, error)
    })
    if (await isOpen()) return key
    // What the object is made of may go any moment, or be of another one by now: it is not to be touched.
    throw new UploadLost()
  }

  /** Takes back what nobody else can know of. */
  async function lost(segments: readonly Segment[], cause?: unknown): Promise<UploadLost> {
    await store.delete(segmentNames({ id, segments }).slice(told))
    return new UploadLost({ cause })
  }

  /** Whether all segments are there, which is asked only when something is wrong. */
  async function isWhole(whole: SwiftUpload): Promise<boolean> {
    for (const [index, name] of segmentNames(whole).entries()) {
      if ((await store.head(name))?.size !== whole.segments[index]?.size) return false
    }
    return true
  }

  /** Removes what the commit has left behind; of what other sessions wrote, only that of earlier ones. */
  async function cleanUp(segments: readonly Segment[]): Promise<void> {
    const kept = new Set(segmentNames({ id, segments }))
    const left = new Set(tails.map(one => tailName(id, one)))
    if (resumed) {
      for (const folder of [folderOf(id), segmentsOf(id)]) {
        for await (const { name } of store.list(folder)) {
          const part = partsOfName(name)
          if (part === undefined || part.kind === 'marker' || kept.has(name)) continue
          if (part.run < run) left.add(name)
        }
      }
    }
    await store.delete([...left])
    // Last: while it stands there, someone looks for what is left.
    if (resumed || marked !== undefined) await store.delete([markerOf(id)])
  }

  return {
    write: chunks => writer.write(chunks),

    get length() {
      return writer.length
    },

    async save() {
      if (writer.rest.length >= sizes.leastOf(count + 1)) await writer.flush()
      const [segments] = await Promise.all([writer.settled(), saveTail()])
      return tell(segments)
    },

    stored: () => tell(writer.stored()),

    async commit() {
      const key = marked === undefined ? await putWhole() : await join()
      ending = cleanUp(writer.stored()).catch(() => {})
      return key
    },

    async close() {
      await writer.close()
      await ending
    },
  }
}
