import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Blob, OpenBlob } from '../registry/blobs.ts'
import { http2Stream } from './bodies.ts'
import { createDownloadBuffers, type DownloadBuffers, largeSize, smallSize } from './download-buffers.ts'
import type { Range } from './range.ts'

/** Makes a range of a blob ready to be given to `send` of this reply. @throws what the driver throws */
export type OpenRange = (blob: Blob, range: Range, reply: FastifyReply) => Promise<Buffer | Readable>

/** A client is quick while each write is taken within so many milliseconds. */
const quickMs = 50
/** After so many of them in a row the file is read ahead of the client. */
const quickEnough = 2
/** Bytes that are read at once then, while as many wait to be written. */
const aheadSize = 4 * smallSize
/** After so many (2 MiB) each write is a large one: those for whom it is too early are few, as the buffers are. */
const quickForLong = 32
/** More than so many are not counted: who was quick for long may be slow a time or two and still be so. */
const mostQuick = 4 * quickForLong
/** So many clients at once are read ahead of. */
const mostAhead = 64
/** Up to so many bytes a fresh buffer costs less than to wait until it can be used again. */
const tiny = 16 * 1024

/**
 * Blobs on their way out. Where the driver has files, no stream has a hand in the bytes: up to one buffer is one read and
 * one write; of more, one buffer is read and written after the other, and for a client that takes them quickly four are
 * read by one call while four others are written.
 *
 * They are written one by one. What the system has not taken of a write stays in memory until the client reads on, and
 * of a slow client that is one buffer: those behind it are given back, to be read again. Large writes cost less, so that
 * they are for clients of whom it is known that they read.
 */
export function createDownloads(): OpenRange {
  const buffers = createDownloadBuffers()
  const ahead = createAhead()
  return async (blob, range, reply) => {
    const object = await blob.open()
    if (object === undefined) return blob.read(range)
    const length = range.last - range.first + 1
    if (length > smallSize) return streamOf(object, range, { buffers, ahead, speed: speedOf(reply) })
    const bytes = bufferFor(length, reply, buffers)
    await fill(bytes, object, range.first)
    return bytes
  }
}

/** A buffer that is used again when it was sent. */
function bufferFor(length: number, { raw }: FastifyReply, buffers: DownloadBuffers): Buffer {
  // HTTP/2 calls a response finished before the connection has taken it.
  if (length <= tiny || http2Stream(raw) !== undefined) return Buffer.allocUnsafe(length)
  const buffer = buffers.take('small')
  raw.once('finish', () => buffers.give(buffer))
  return buffer.subarray(0, length)
}

async function fill(bytes: Buffer, object: OpenBlob, first: number): Promise<void> {
  try {
    for (let filled = 0; filled < bytes.length;) {
      const read = await object.read([bytes.subarray(filled)], first + filled)
      if (read === 0) throw endsTooEarly(first + filled, first + bytes.length - 1)
      filled += read
    }
  } finally {
    object.release()
  }
}

/** A buffer with the bytes in it. */
interface Piece {
  buffer: Buffer
  bytes: Uint8Array
}

interface Shared {
  buffers: DownloadBuffers
  ahead: Ahead
  speed: Speed
}

/** How quick a client was until now: writes that it took at once. Who asks for ranges asks for the next one. */
interface Speed {
  quick: number
}

const speeds = new WeakMap<Socket, Speed>()

function speedOf({ raw }: FastifyReply): Speed {
  const fresh = { quick: 0 }
  // Of the downloads in one connection of HTTP/2 each has a speed of its own.
  if (raw.socket === null || http2Stream(raw) !== undefined) return fresh
  const known = speeds.get(raw.socket) ?? fresh
  speeds.set(raw.socket, known)
  return known
}

/**
 * A stream for those who pipe it, and for nothing else: it writes to its destination by itself. It is one so that
 * fastify treats it like any other: its errors, its end, and a client that goes away.
 */
function streamOf(object: OpenBlob, { first, last }: Range, { buffers, ahead, speed }: Shared): Readable {
  /** Where the next read begins, and the next write. */
  let readAt = first
  let writeAt = first
  let reading = false
  /** What is being read is not wanted any more. */
  let unwanted = false
  let filled: Piece[] = []
  let writing: Piece | undefined
  let since = 0
  let over = false
  let target: NodeJS.WritableStream | undefined

  const body = new Readable({
    read() {},
    destroy(error, done) {
      over = true
      ahead.delete(slowDown)
      for (const { buffer } of filled) buffers.give(buffer)
      filled = []
      // The system may still have it.
      if (writing !== undefined) buffers.drop(writing.buffer)
      writing = undefined
      object.release()
      done(error)
    },
  })
  body.pipe = destination => {
    target = destination
    if (speed.quick >= quickEnough) ahead.add(slowDown)
    body.once('end', () => destination.end())
    goOn()
    return destination
  }

  function goOn(): void {
    if (over) return
    if (writing === undefined) write(filled.shift())
    if (!reading && readAt <= last && wantsMore()) void read()
    if (writing !== undefined || reading) return
    // All is written: the stream ends, and with it the answer.
    body.push(null)
    body.resume()
  }

  function wantsMore(): boolean {
    const held = readAt - writeAt + (writing?.bytes.length ?? 0)
    const size = readSize()
    return held === 0 || (size > smallSize && held <= size)
  }

  /** Bytes to be read at once. */
  function readSize(): number {
    if (speed.quick < quickEnough || !ahead.has(slowDown)) return smallSize
    return speed.quick < quickForLong ? aheadSize : largeSize
  }

  function write(piece: Piece | undefined): void {
    if (piece === undefined) return
    writing = piece
    writeAt += piece.bytes.length
    since = performance.now()
    target?.write(piece.bytes, written)
  }

  function written(error?: Error | null): void {
    if (writing === undefined || (error !== undefined && error !== null)) return
    buffers.give(writing.buffer)
    writing = undefined
    speed.quick = performance.now() - since < quickMs ? Math.min(speed.quick + 1, mostQuick) : speed.quick >> 1
    if (speed.quick >= quickEnough) ahead.add(slowDown)
    goOn()
  }

  async function read(): Promise<void> {
    reading = true
    const pieces = takePieces(readSize())
    try {
      const bytesRead = await object.read(
        pieces.map(({ bytes }) => bytes),
        readAt,
      )
      if (bytesRead === 0) throw endsTooEarly(readAt, last)
      keep(pieces, bytesRead)
    } catch (error) {
      keep(pieces, 0)
      body.destroy(error instanceof Error ? error : new Error(String(error)))
    }
    reading = false
    unwanted = false
    goOn()
  }

  function takePieces(most: number): Piece[] {
    const size = most === largeSize ? 'large' : 'small'
    const pieces: Piece[] = []
    for (let left = Math.min(most, last - readAt + 1); left > 0;) {
      const buffer = buffers.take(size)
      const bytes = left < buffer.length ? buffer.subarray(0, left) : buffer
      pieces.push({ buffer, bytes })
      left -= bytes.length
    }
    return pieces
  }

  /** Takes what was read, and gives back the buffers of what was not. */
  function keep(pieces: readonly Piece[], bytesRead: number): void {
    let left = over || unwanted ? 0 : bytesRead
    readAt += left
    for (const { buffer, bytes } of pieces) {
      if (left === 0) buffers.give(buffer)
      else filled.push({ buffer, bytes: left < bytes.length ? bytes.subarray(0, left) : bytes })
      left -= Math.min(left, bytes.length)
    }
  }

  /** Gives up what was read ahead of a client that has not taken the last write for long. */
  function slowDown(now: number): boolean {
    if (writing === undefined || now - since < quickMs) return false
    for (const { buffer } of filled) buffers.give(buffer)
    filled = []
    readAt = writeAt
    unwanted = reading
    return true
  }

  return body
}

function endsTooEarly(position: number, last: number): Error {
  return new Error(`the file of a blob ends at byte ${position}, and not behind byte ${last}`)
}

/** Downloads that were read ahead of; each is asked again and again whether its client has become slow. */
type Ahead = ReturnType<typeof createAhead>

function createAhead() {
  const downloads = new Set<(now: number) => boolean>()
  let timer: NodeJS.Timeout | undefined

  function look(): void {
    const now = performance.now()
    for (const slowDown of downloads) if (slowDown(now)) downloads.delete(slowDown)
    stopWhenIdle()
  }
  function stopWhenIdle(): void {
    if (downloads.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    has: (slowDown: (now: number) => boolean) => downloads.has(slowDown),
    /** Does nothing when there are too many. */
    add(slowDown: (now: number) => boolean) {
      if (downloads.size >= mostAhead) return
      downloads.add(slowDown)
      timer ??= setInterval(look, quickMs).unref()
    },
    delete(slowDown: (now: number) => boolean) {
      downloads.delete(slowDown)
      stopWhenIdle()
    },
  }
}
