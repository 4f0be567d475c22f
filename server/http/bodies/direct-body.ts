import { type Body, BodyBroken } from '../../bytes/body.ts'
import type { BufferPool } from '../../bytes/buffers.ts'
import { createFilling, type Filling } from '../../bytes/filling.ts'
import { createChunkedScanner } from './chunked.ts'
import type { DirectSocket } from './direct-socket.ts'

/** A body that is read from its socket straight into buffers of the pool. */
export interface DirectBody extends Body {
  /** Whether all of it has been read. */
  readonly complete: boolean
  /** Bytes of payload that came so far. */
  readonly received: number
  /**
   * Stops it, and reads away what is left, so many bytes at most and for so long.
   * @returns whether that was all, so that the connection can go on
   */
  discard(limit: { bytes: number; ms: number }): Promise<boolean>
}

export interface DirectBodyOptions {
  socket: DirectSocket
  /** Bytes that were read together with the headers. */
  head: Uint8Array
  /** In bytes; undefined for chunked transfer coding. */
  length: number | undefined
  pool: BufferPool
  /** Without a byte for so long the body counts as broken off. */
  idleMs: number
  /** Called before the first byte is asked for (100-continue). */
  onBegin(this: void): void
  /** Called when it has broken off: what follows on the connection can't be told from it. */
  onBroken(this: void): void
}

const nothing = new Uint8Array()

/** How a body ends: by its length, or by what stands in it. */
interface Framing {
  /** @returns how many of the bytes belong to the body @throws Error when they can't be understood */
  take(bytes: Uint8Array, pieces: number[]): number
  readonly ended: boolean
}

/** Where bytes of a body go. */
interface Sink {
  room(): Uint8Array | undefined
  advance(bytes: number, pieces: readonly number[]): void
  end(): void
  fail(error: BodyBroken): void
}

export function directBody({ socket, head, length, pool, idleMs, onBegin, onBroken }: DirectBodyOptions): DirectBody {
  const framing = length === undefined ? chunked() : counted(length)
  let filling: Filling | undefined
  let sink: Sink | undefined
  let broken: BodyBroken | undefined
  let unread = head
  let received = 0
  let stopped = false
  let discarded: Promise<boolean> | undefined

  /** @returns whether to go on reading */
  function arrived(bytes: Uint8Array): boolean {
    const pieces: number[] = []
    let taken = bytes.length
    let fault: { error: unknown } | undefined
    try {
      taken = framing.take(bytes, pieces)
    } catch (error) {
      fault = { error }
    }
    for (let index = 1; index < pieces.length; index += 2) received += pieces[index] ?? 0
    sink?.advance(taken, pieces)
    if (fault !== undefined) {
      breakOff('the body does not keep to its chunked transfer coding', fault.error)
      return false
    }
    if (!framing.ended) return sink?.room() !== undefined
    const rest = Buffer.concat([bytes.subarray(taken), unread])
    unread = nothing
    end(rest)
    return false
  }

  /** Takes what was read elsewhere, with the headers for example. @returns whether there is room for more */
  function catchUp(): boolean {
    while (unread.length > 0) {
      const room = sink?.room()
      if (room === undefined) return false
      const length = Math.min(room.length, unread.length)
      room.set(unread.subarray(0, length))
      unread = unread.subarray(length)
      if (!arrived(room.subarray(0, length))) return false
    }
    return sink?.room() !== undefined
  }

  function readOn(): void {
    if (catchUp()) socket.resume()
  }

  function end(rest: Uint8Array): void {
    const ended = sink
    sink = undefined
    socket.endReading(rest)
    ended?.end()
  }

  function breakOff(message: string, cause?: unknown): void {
    const ended = sink
    sink = undefined
    broken = new BodyBroken(message, { cause })
    socket.endReading()
    onBroken()
    ended?.fail(broken)
  }

  function begin(into: Sink): void {
    sink = into
    if (framing.ended) return end(unread)
    socket.beginReading({
      room: () => sink?.room(),
      arrived,
      arrivedElsewhere(bytes) {
        unread = unread.length === 0 ? bytes : Buffer.concat([unread, bytes])
        return catchUp()
      },
      idleMs,
      silent: () => breakOff('the client fell silent in the middle of the body'),
      // What was read before is looked at first, for the end may be in it; then `resume` tells it again.
      closed: cause => {
        if (unread.length === 0) breakOff('the client broke the body off', cause)
      },
    })
    readOn()
  }

  async function discard(limit: { bytes: number; ms: number }): Promise<boolean> {
    body.stop()
    if (framing.ended || broken !== undefined) return framing.ended
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), limit.ms)
    begin(nowhere(limit.bytes, resolve))
    const whole = await promise
    clearTimeout(timer)
    body.stop()
    return whole
  }

  const body: DirectBody = {
    async next() {
      if (filling === undefined) {
        // By now the connection may be another request's.
        if (stopped) throw new BodyBroken('nobody reads the body any more')
        onBegin()
        filling = createFilling({ pool, onRoom: readOn })
        begin(filling)
      }
      return filling.next()
    },
    stop() {
      stopped = true
      if (sink !== undefined) {
        sink = undefined
        socket.endReading()
      }
      filling?.stop()
    },
    discard: limit => (discarded ??= discard(limit)),
    get complete() {
      return framing.ended
    },
    get received() {
      return received
    },
  }
  return body
}

/** What is not wanted goes here, of all bodies. */
const scratch = new Uint8Array(128 * 1024)

function nowhere(most: number, over: (whole: boolean) => void): Sink {
  let bytes = 0
  return {
    room: () => scratch,
    advance(length) {
      bytes += length
      if (bytes > most) over(false)
    },
    end: () => over(true),
    fail: () => over(false),
  }
}

function counted(length: number): Framing {
  let left = length
  return {
    take(bytes, pieces) {
      const taken = Math.min(left, bytes.length)
      if (taken > 0) pieces.push(0, taken)
      left -= taken
      return taken
    },
    get ended() {
      return left === 0
    },
  }
}

function chunked(): Framing {
  const scanner = createChunkedScanner()
  return {
    take: (bytes, pieces) => scanner.scan(bytes, pieces),
    get ended() {
      return scanner.ended
    },
  }
}
