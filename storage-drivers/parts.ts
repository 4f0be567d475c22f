import pLimit from 'p-limit'
import { StorageUnavailable } from './driver.ts'

/**
 * For back ends that take an object in parts (S3, Swift, Azure): what is written is gathered until there is enough for a
 * part, and several parts are on their way at a time.
 */
export interface PartWriter<Part> {
  /** Bytes that were written, with those of the parts that were there before. */
  readonly length: number
  /** What was gathered and is no part yet. Good until the next call. */
  readonly rest: Uint8Array
  /** Resolves when the chunks may be used again: at the latest when as many parts as allowed are on their way. */
  write(chunks: readonly Uint8Array[]): Promise<void>
  /** Makes a part of what was gathered, if there is anything, and hands it over. */
  flush(): Promise<void>
  /** All parts in their order, when those on their way are stored. @throws what the first failed with */
  settled(): Promise<readonly Part[]>
  /** The parts that are stored, from the first one without a gap. */
  stored(): readonly Part[]
  /** Resolves when nothing is on its way any more, however that ended. */
  close(): Promise<void>
}

/** Memory for parts, shared by all uploads of a driver. */
export interface PartMemory {
  /** Bytes of an ordinary part, while few uploads are being written. */
  readonly chunkSize: number
  /** The same just now. */
  ordinary(): number
  /** Counts an upload that is being written. @returns what is to be called when it is not any more */
  enter(): () => void
  /** Parts of one upload that are on their way at a time, at most. */
  readonly parallel: number
  /** Does the work when there is room for another part on its way. */
  send<Result>(work: () => Promise<Result>): Promise<Result>
  /**
   * A buffer for a part of so many bytes. Waits for room, as long as parts are on their way that will make some.
   * @throws StorageUnavailable where clients that are slow hold all the memory there may be
   */
  take(bytes: number): Promise<Buffer>
  /** To be called for each buffer that was taken, when nothing looks into it any more. */
  give(buffer: Buffer): void
}

/** Bytes that all uploads together may have on their way, unless one alone may have more. */
const mostOnTheWay = 60 * 1024 * 1024
/** Bytes of whole parts that may be in memory, on their way or being gathered. */
const mostHeld = 80 * 1024 * 1024
/** The same where they are gathered of many clients and nothing is on its way: no more uploads are taken then. */
const mostEver = 1024 * 1024 * 1024
/** What S3 takes as a part at least; smaller ones would be many. */
const smallestPart = 5 * 1024 * 1024
/** Buffers that nobody wants for so long are given back to the system. */
const idleMs = 2_000

export function createPartMemory({ chunkSize, parallel }: { chunkSize: number; parallel: number }): PartMemory {
  const limit = pLimit(Math.max(parallel, Math.floor(mostOnTheWay / chunkSize)))
  let writers = 0
  let onTheWay = 0
  let held = 0
  let spare: Buffer[] = []
  let letGo: NodeJS.Timeout | undefined
  let waiting: (() => void)[] = []

  function wake(): void {
    const woken = waiting
    waiting = []
    for (const look of woken) look()
  }

  /** Only parts on their way are sure to make room: what is gathered may be a client's that sends no more. */
  function hasToWait(bytes: number): boolean {
    return held + bytes > mostHeld && onTheWay > 0
  }

  function ordinary(): number {
    let bytes = chunkSize
    while (bytes * writers > mostHeld && bytes / 2 >= smallestPart) bytes /= 2
    return bytes
  }

  return {
    chunkSize,
    parallel,
    ordinary,

    enter() {
      writers++
      return () => void writers--
    },

    send: work =>
      limit(async () => {
        onTheWay++
        try {
          return await work()
        } finally {
          onTheWay--
          wake()
        }
      }),

    async take(bytes) {
      while (hasToWait(bytes)) await new Promise<void>(resolve => waiting.push(resolve))
      if (held + bytes > mostEver) throw new StorageUnavailable()
      held += bytes
      const [first] = spare
      if (first !== undefined && first.length !== bytes) spare = []
      return spare.pop() ?? Buffer.allocUnsafeSlow(bytes)
    },

    give(buffer) {
      const { length } = buffer
      held -= length
      if (length === ordinary() && held + (spare.length + 1) * length <= mostHeld) spare.push(buffer)
      letGo ??= setTimeout(() => {
        spare = []
        letGo = undefined
      }, idleMs).unref()
      wake()
    },
  }
}

/** The first buffer of an upload, which then doubles: a small one, or a slow one, does not take a whole part's memory. */
const firstBuffer = 64 * 1024

export interface PartWriterOptions<Part> {
  memory: PartMemory
  /** What the upload has already: parts, and bytes behind them that are no part yet. */
  before: { parts: readonly Part[]; bytes: number; rest?: Uint8Array }
  /** Bytes of the part of this number, counted from 1: `chunkSize` for an ordinary one, as it is when left out. */
  sizeOf?: (number: number) => number
  /** Stores a part; its bytes are to be left alone when it settles. */
  send: (bytes: Uint8Array, number: number) => Promise<Part>
}

export function createPartWriter<Part>({ memory, before, sizeOf, send }: PartWriterOptions<Part>): PartWriter<Part> {
  const own = pLimit(memory.parallel)
  const parts: (Part | undefined)[] = [...before.parts]
  const onTheWay = new Set<Promise<void>>()
  let failed: { error: unknown } | undefined
  /** Bytes that were handed over as parts. */
  let sent = before.bytes
  let buffer: Buffer = Buffer.from(before.rest ?? [])
  /** Whether the buffer is one that was taken, and has to be given back. */
  let taken = false
  let fill = buffer.length
  const leave = memory.enter()
  let closed = false

  function partSize(): number {
    // Not another one for a part that is being gathered.
    if (taken) return buffer.length
    const size = sizeOf?.(parts.length + 1) ?? memory.chunkSize
    return size === memory.chunkSize ? Math.max(memory.ordinary(), fill) : size
  }

  /** Makes room for so many bytes in all; what was gathered stays. */
  async function grow(wanted: number): Promise<void> {
    const size = partSize()
    // Who has filled a part is going to fill another.
    const whole = parts.length > before.parts.length || wanted * 4 > size
    const next = whole
      ? await memory.take(Math.max(size, wanted))
      : Buffer.allocUnsafeSlow(Math.max(wanted, buffer.length * 2, firstBuffer))
    next.set(buffer.subarray(0, fill))
    buffer = next
    taken = whole
  }

  function throwFailure(): void {
    if (failed !== undefined) throw failed.error
  }

  /** Hands over what was gathered; resolves when it is on its way. */
  async function handOver(): Promise<void> {
    const [whole, length, wasTaken] = [buffer, fill, taken]
    buffer = Buffer.alloc(0)
    taken = false
    fill = 0
    sent += length
    const number = parts.push(undefined)
    await new Promise<void>(begun => {
      const sending = own(() =>
        memory.send(async () => {
          begun()
          // Nothing behind a part that failed will be of use.
          throwFailure()
          parts[number - 1] = await send(whole.subarray(0, length), number)
        }),
      )
        .catch((error: unknown) => void (failed ??= { error }))
        .finally(() => {
          onTheWay.delete(sending)
          if (wasTaken) memory.give(whole)
        })
      onTheWay.add(sending)
    })
    throwFailure()
  }

  return {
    get length() {
      return sent + fill
    },
    get rest() {
      return buffer.subarray(0, fill)
    },
    async write(chunks) {
      throwFailure()
      for (const chunk of chunks) {
        for (let from = 0; from < chunk.length;) {
          // What was there before may be enough for one.
          if (fill >= partSize()) await handOver()
          const length = Math.min(chunk.length - from, partSize() - fill)
          if (fill + length > buffer.length) await grow(fill + length)
          buffer.set(chunk.subarray(from, from + length), fill)
          fill += length
          from += length
          if (fill >= partSize()) await handOver()
        }
      }
    },
    async flush() {
      throwFailure()
      if (fill > 0) await handOver()
    },
    async settled() {
      await Promise.all(onTheWay)
      throwFailure()
      return parts.filter(part => part !== undefined)
    },
    stored() {
      const gap = parts.indexOf(undefined)
      return parts.slice(0, gap === -1 ? undefined : gap).filter(part => part !== undefined)
    },
    async close() {
      if (closed) return
      closed = true
      await Promise.allSettled(onTheWay)
      leave()
      if (taken) memory.give(buffer)
      taken = false
      buffer = Buffer.alloc(0)
    },
  }
}
