import { type Body, BodyBroken, type Filled, piecesOf } from './body.ts'
import { type BufferPool, smallSize } from './buffers.ts'

/** Buffers that one body may have handed over and not got back: then its socket waits. */
const mostOut = 8
/** A buffer is handed over when it is so full: the next read from the socket would hardly fit. */
const fullShare = 0.75
/** What has come is handed over when no more comes for so long. */
const silenceMs = 1_000
/** Pieces up to so many bytes are moved to the one before: chunks of a byte would make a list of many thousands. */
const tinyPiece = 4096
/** A client that fills a buffer within so long gets a large one next. */
const fastMs = 250

/** The side of a body that is filled: by a socket, or from a stream. */
export interface Filling extends Body {
  /** Where the next bytes go; undefined while there is no buffer, until `onRoom` is called. Not empty. */
  room(): Uint8Array<SharedArrayBuffer> | undefined
  /** Bytes that now stand at the beginning of the room, with the pieces of payload in them as offsets from there. */
  advance(bytes: number, pieces: readonly number[]): void
  /** The body is whole. */
  end(): void
  /** The body broke off. What came before is still handed over. */
  fail(error: Error): void
  /** Whether it has ended, in whichever way. */
  readonly over: boolean
}

export interface FillingOptions {
  pool: BufferPool
  /** There is room again, after `room` gave none. */
  onRoom(this: void): void
}

/** Fills buffers of the pool and hands them over in order, as many at a time as a body may have. */
export function createFilling({ pool, onRoom }: FillingOptions): Filling {
  let current = pool.take('small', { must: true })
  let since = performance.now()
  let fill = 0
  let pieces: number[] = []
  let payload = 0
  let out = 0
  let handedOver = 0
  let fast = false
  let over = false
  let failure: Error | undefined
  const ready: (Filled & { last: boolean })[] = []
  let waiting: PromiseWithResolvers<Filled | undefined> | undefined

  let seen = 0
  const silence = setInterval(() => {
    if (handedOver === seen && ready.length === 0) handOverCopy()
    seen = handedOver
  }, silenceMs)
  silence.unref()

  /** The buffer itself has to stay: the system may be reading into what is left of it. */
  function handOverCopy(): void {
    if (current === undefined || payload === 0) return
    const copy = pool.take(current.length > smallSize ? 'large' : 'small', { must: out === 0 })
    if (copy === undefined || copy.length < payload) {
      if (copy !== undefined) pool.give(copy)
      return
    }
    let length = 0
    for (const piece of piecesOf({ buffer: current, pieces })) {
      copy.set(piece, length)
      length += piece.length
    }
    handOver({ buffer: copy, pieces: [0, length], length, last: false })
    clear()
    serve()
  }

  function takeBuffer(): void {
    if (over || current !== undefined || out >= mostOut) return
    current = pool.take(fast ? 'large' : 'small', { must: out === 0 })
    since = performance.now()
  }

  function handOver(what: Pick<Filled, 'buffer' | 'pieces' | 'length' | 'last'>): void {
    let mine = true
    ready.push({
      ...what,
      release() {
        if (!mine) return
        mine = false
        out--
        pool.give(what.buffer)
        if (over || current !== undefined) return
        takeBuffer()
        if (current !== undefined) onRoom()
      },
    })
    out++
    handedOver++
  }

  function clear(): void {
    fill = 0
    pieces = []
    payload = 0
  }

  function submit(last: boolean): void {
    if (current === undefined) return
    handOver({ buffer: current, pieces, length: payload, last })
    fast = handedOver > 1 && performance.now() - since < fastMs
    current = undefined
    clear()
    takeBuffer()
    serve()
  }

  function serve(): void {
    if (waiting === undefined) return
    const { resolve, reject } = waiting
    const filled = ready.shift()
    if (filled === undefined && !over) return
    waiting = undefined
    if (filled === undefined && failure !== undefined) reject(failure)
    else resolve(filled)
  }

  function close(error: Error | undefined): void {
    if (over) return
    clearInterval(silence)
    failure = error
    over = true
    const whole = error === undefined
    if (payload > 0) submit(whole)
    else if (current !== undefined) pool.give(current)
    current = undefined
    const end = ready.at(-1)
    if (end !== undefined && whole) end.last = true
    serve()
  }

  function addPiece(start: number, length: number): void {
    const end = pieces.length
    const next = (pieces[end - 2] ?? 0) + (pieces[end - 1] ?? 0)
    if (end === 0 || (start > next && length > tinyPiece)) {
      pieces.push(start, length)
      return
    }
    if (start > next) current?.copyWithin(next, start, start + length)
    pieces[end - 1] = (pieces[end - 1] ?? 0) + length
  }

  return {
    room: () => (fill === 0 ? current : current?.subarray(fill)),
    advance(bytes, found) {
      for (let index = 0; index < found.length; index += 2) {
        const start = fill + (found[index] ?? 0)
        const length = found[index + 1] ?? 0
        addPiece(start, length)
        payload += length
      }
      fill += bytes
      if (current === undefined || fill < current.length * fullShare) return
      if (payload > 0) submit(false)
      else fill = 0
    },
    end: () => close(undefined),
    fail: error => close(error),
    next() {
      const next = Promise.withResolvers<Filled | undefined>()
      waiting = next
      serve()
      return next.promise
    },
    stop() {
      if (over && ready.length === 0) return
      const stopped = new BodyBroken('nobody reads the body any more')
      payload = 0
      close(stopped)
      // Whoever asks all the same must not take what he got for the whole.
      failure ??= stopped
      for (const filled of ready.splice(0)) filled.release()
    },
    get over() {
      return over
    },
  }
}
