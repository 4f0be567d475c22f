import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Socket } from 'node:net'
import type { BufferPool } from '../../bytes/buffers.ts'
import { CountedResponse } from '../messages.ts'
import { type DirectBody, directBody } from './direct-body.ts'
import { type DirectSocket, directSocket } from './direct-socket.ts'

/**
 * Large bodies past Node's HTTP parser. Its way costs an allocation, a pass of the parser and a call into JavaScript
 * per 64 KiB, which is more than hashing them. So the parser is left after the headers, as for an upgrade to another
 * protocol; the body is read straight into our own buffers, and behind it the connection goes back to HTTP.
 */

export interface DirectReadOptions {
  pool: BufferPool
  /** Whether the body of this request, of the length (undefined: chunked), is worth it. */
  wants(this: void, request: IncomingMessage, length: number | undefined): boolean
  /** A client that sends nothing for so long has broken its body off. */
  idleMs: number
  /** What is read away of a body that nobody wants, so that its client gets to see the answer. */
  leftOver: { bytes: number; ms: number }
}

const bodies = new WeakMap<IncomingMessage, DirectBody>()

/** The body of a request that was taken past the parser; undefined for any other. */
export function directBodyOf(request: IncomingMessage): DirectBody | undefined {
  return bodies.get(request)
}

/** To be called before the server listens. Not for TLS: there the bytes go through Node's streams anyway. */
export function readDirectly(server: Server, { pool, wants, idleMs, leftOver }: DirectReadOptions): void {
  const known = new WeakSet<Socket>()

  server.on('connection', (socket: Socket) => {
    if (!known.has(socket)) {
      known.add(socket)
      // Between two of its owners a connection may break as well.
      socket.on('error', () => {})
    }
    leaveAfterHeaders(socket, request => {
      // Where an earlier request is not answered yet, the answers have to queue as Node does it.
      if (Reflect.get(socket, '_httpMessage') != null) return false
      const framing = framingOf(request)
      return framing !== undefined && wants(request, framing.length)
    })
  })

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Only of requests that were chosen above.
    if (!(socket instanceof Socket) || socket.destroyed) {
      socket.destroy()
      return
    }
    const direct = directSocket(socket)
    direct.claim()
    const response = new CountedResponse(request)
    // A client that waits to be told to send is not told so by an answer: what it does then can't be known.
    Reflect.set(response, '_expect_continue', request.headers.expect !== undefined)
    response.shouldKeepAlive = Reflect.get(request, keepAlive) === true
    Reflect.set(response, '_keepAliveTimeout', server.keepAliveTimeout)
    response.assignSocket(socket)
    const body = directBody({
      socket: direct,
      head: withBuffered(socket, head),
      length: framingOf(request)?.length,
      pool,
      idleMs,
      onBegin() {
        if (request.headers.expect !== undefined && !response.headersSent) response.writeContinue()
      },
      onBroken() {
        response.shouldKeepAlive = false
      },
    })
    bodies.set(request, body)
    response.once('finish', () => void giveBack(server, { socket, direct, response, body, leftOver }))
    server.emit('request', request, response)
  })
}

const keepAlive = Symbol('keepAlive')

/** Has the parser of a connection stop behind the headers of requests that are chosen. */
function leaveAfterHeaders(socket: Socket, chosen: (request: IncomingMessage) => boolean): void {
  const parser: unknown = Reflect.get(socket, 'parser')
  if (typeof parser !== 'object' || parser === null) return
  const onIncoming: unknown = Reflect.get(parser, 'onIncoming')
  if (typeof onIncoming !== 'function') return
  Reflect.set(parser, 'onIncoming', (request: IncomingMessage, shouldKeepAlive: boolean): unknown => {
    if (socket.timeout === betweenMs) socket.setTimeout(0)
    if (!chosen(request)) return Reflect.apply(onIncoming, parser, [request, shouldKeepAlive])
    Reflect.set(request, keepAlive, shouldKeepAlive)
    Reflect.set(request, 'upgrade', true)
    return leaveParser
  })
}

/** What Node's parser takes for the sign that another protocol follows. */
const leaveParser = 2

/**
 * How long an idle connection is kept after a body. Node's own check would end it with an answer that nobody asked for
 * after `headersTimeout`, a minute.
 */
const betweenMs = 50_000

/** How the body ends; undefined where there is none, or where the parser has to decide what is wrong with it. */
function framingOf({ headers, httpVersion }: IncomingMessage): { length: number | undefined } | undefined {
  if (httpVersion !== '1.1' || headers.upgrade !== undefined) return undefined
  if (headers.expect !== undefined && !/^100-continue$/i.test(headers.expect)) return undefined
  const coding = headers['transfer-encoding']
  if (coding !== undefined) return /^chunked$/i.test(coding) ? { length: undefined } : undefined
  const length = Number(headers['content-length'])
  return Number.isSafeInteger(length) && length > 0 ? { length } : undefined
}

/** What was read with the headers, and what a socket that was in use before may have kept. */
function withBuffered(socket: Socket, head: Buffer): Buffer {
  if (socket.readableLength === 0) return head
  const buffered: unknown = socket.read()
  return Buffer.isBuffer(buffered) ? Buffer.concat([head, buffered]) : head
}

interface Answered {
  socket: Socket
  direct: DirectSocket
  response: ServerResponse
  body: DirectBody
  leftOver: DirectReadOptions['leftOver']
}

/** The answer is given: the connection is HTTP's again, or at its end. */
async function giveBack(server: Server, { socket, direct, response, body, leftOver }: Answered): Promise<void> {
  response.detachSocket(socket)
  process.nextTick(() => response.emit('close'))
  const goesOn = response.shouldKeepAlive && server.listening
  // What is left of the body can't be told from a request.
  const whole = (goesOn || body.complete) && (await body.discard(leftOver))
  if (socket.destroyed) return
  if (whole && goesOn && !socket.readableEnded) {
    direct.release()
    server.emit('connection', socket)
    socket.setTimeout(betweenMs)
    socket.resume()
  } else if (whole) socket.destroySoon()
  else if (goesOn) socket.destroy()
  else {
    body.stop()
    linger(socket, direct, leftOver)
  }
}

const scratch = new Uint8Array(64 * 1024)

/** Closes a connection whose client is still sending: one that is cut off then may never see the answer. */
function linger(socket: Socket, direct: DirectSocket, { bytes, ms }: DirectReadOptions['leftOver']): void {
  const over = () => void socket.destroy()
  let left = bytes
  const count = (arrived: Uint8Array) => {
    left -= arrived.length
    if (left < 0) over()
    return left >= 0
  }
  const timer = setTimeout(over, ms)
  socket.once('close', () => clearTimeout(timer))
  socket.end()
  direct.beginReading({
    room: () => scratch,
    arrived: count,
    arrivedElsewhere: count,
    idleMs: ms,
    silent: over,
    closed: over,
  })
  direct.resume()
}
