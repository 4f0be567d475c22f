import pLimit from 'p-limit'

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
  /** Bytes of an ordinary part. */
  readonly chunkSize: number
  /** Parts of one upload that are on their way at a time, at most. */
  readonly parallel: number
  /** Waits until there is room for another part on its way, then does the work. */
  send<Result>(work: () => Promise<Result>): Promise<Result>
  /** A buffer of the size of an ordinary part. */
  take(): Buffer
  give(buffer: Buffer): void
}

/** What all uploads may have on their way together, unless one alone may have more. */
const mostOnTheWay = 80 * 1024 * 1024
/** Buffers that are kept to be used again, and for how long when nobody wants them. */
const keptSpare = { bytes: 80 * 1024 * 1024, ms: 10_000 }

export function createPartMemory({ chunkSize, parallel }: { chunkSize: number; parallel: number }): PartMemory {
  const send = pLimit(Math.max(parallel, Math.floor(mostOnTheWay / chunkSize)))
  const most = Math.floor(keptSpare.bytes / chunkSize)
  let spare: Buffer[] = []
  let letGo: NodeJS.Timeout | undefined

  return {
    chunkSize,
    parallel,
    send,
    take: () => spare.pop() ?? Buffer.allocUnsafeSlow(chunkSize),
    give(buffer) {
      if (spare.length < most) spare.push(buffer)
      letGo ??= setTimeout(() => {
        spare = []
        letGo = undefined
      }, keptSpare.ms).unref()
    },
  }
}

/** The first buffer of an upload, which then doubles: a small one, or a slow one, does not take a whole part's memory. */
const firstBuffer = 64 * 1024

export interface PartWriterOptions<Part> {
  memory: PartMemory
  /** What the upload has already: parts, and bytes behind them that are no part yet. */
  before: { parts: readonly Part[]; bytes: number; rest?: Uint8Array }
  /** Bytes of the part of this number, counted from 1; that of an ordinary part when left out. */
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
  let buffer: Buffer = Buffer.alloc(0)
  let fill = 0
  gather(before.rest ?? new Uint8Array())

  function partSize(): number {
    return sizeOf?.(parts.length + 1) ?? memory.chunkSize
  }

  /** A buffer for what is gathered and so many bytes more, with what is gathered in it. */
  function larger(wanted: number): Buffer {
    const size = partSize()
    // Who has filled a part is going to fill another.
    const whole = parts.length > before.parts.length || wanted * 2 > size
    if (!whole) return Buffer.allocUnsafeSlow(Math.max(wanted, buffer.length * 2, firstBuffer))
    return size === memory.chunkSize ? memory.take() : Buffer.allocUnsafeSlow(size)
  }

  /** Copies what there is room for in this part. @returns the rest */
  function gather(bytes: Uint8Array): Uint8Array {
    const length = Math.min(bytes.length, partSize() - fill)
    if (fill + length > buffer.length) {
      const next = larger(fill + length)
      next.set(buffer.subarray(0, fill))
      buffer = next
    }
    buffer.set(bytes.subarray(0, length), fill)
    fill += length
    return bytes.subarray(length)
  }

  function throwFailure(): void {
    if (failed !== undefined) throw failed.error
  }

  /** Hands over what was gathered; resolves when it is on its way. */
  async function handOver(): Promise<void> {
    const [whole, length] = [buffer, fill]
    buffer = Buffer.alloc(0)
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
          if (whole.length === memory.chunkSize) memory.give(whole)
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
        for (let rest = gather(chunk); ; rest = gather(rest)) {
          if (fill === partSize()) await handOver()
          if (rest.length === 0) break
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
      await Promise.allSettled(onTheWay)
    },
  }
}
