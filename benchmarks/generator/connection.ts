/**
 * One HTTP/1.1 connection on a bare socket: no request objects, no header maps, one fixed buffer for what is read.
 * It knows as much of HTTP as a benchmark needs, and costs little.
 */
import { readFileSync } from 'node:fs'
import { connect as connectPlain, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectSecure } from 'node:tls'
import { type AnswerReader, createAnswerReader } from './answers.ts'

/** Where a server listens. */
export interface Target {
  /** The server's name, for messages. */
  name: string
  host: string
  port: number
  /** File of the authority that signed its certificate; plain HTTP without one. */
  ca?: string
}

export interface Answer {
  status: number
  /** Status line and headers, as they came. */
  head: string
  /** Bytes of the body, whether they were kept or not. */
  length: number
  /** The body; empty unless it was asked for. */
  body: Buffer
}

export interface Request {
  method: string
  path: string
  /** Lines of their own, each ended by `\r\n`. A body needs its `Content-Length` or `Transfer-Encoding` here. */
  headers?: string
  /** What is sent after the head, as framed as it has to be. */
  body?: Iterable<Buffer>
  /** Keeps the answer's body; it is only counted when left out. */
  keep?: boolean
}

export interface Connection {
  readonly target: Target
  /** One request at a time. @throws Error when the connection breaks before the whole answer is there */
  send: (request: Request) => Promise<Answer>
  /** Sends and fails unless the status is the one that is expected; several with spaces between them. */
  expect: (status: string, request: Request) => Promise<Answer>
  /** The socket itself, for clients that are slow on purpose. */
  readonly socket: Socket
  close: () => void
}

export interface ConnectionOptions {
  /** Size of the buffer for what is read, in bytes; 64 KiB when left out. */
  buffer?: number
  /** Lines that go with each request, each ended by `\r\n`. */
  headers?: string
}

/** Opens a connection. @throws Error when nobody listens there */
export async function openConnection(
  target: Target,
  { buffer: size = 64 * 1024, headers: always = '' }: ConnectionOptions = {},
): Promise<Connection> {
  const hostLine = `Host: ${target.host}:${target.port}\r\n${always}`
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined
  const reader = createAnswerReader(answer => {
    const { resolve } = waiting ?? {}
    waiting = undefined
    resolve?.(answer)
  })
  const socket = await openSocket(target, { size, reader })
  const fail = (error: Error) => {
    waiting?.reject(error)
    waiting = undefined
  }
  socket.on('error', error => fail(new Error(`the connection to ${target.name} broke: ${error.message}`)))
  socket.on('close', () => fail(new Error(`${target.name} closed the connection before its answer was over`)))

  function send({ method, path, headers = '', body, keep = false }: Request): Promise<Answer> {
    const head = `${method} ${path} HTTP/1.1\r\n${hostLine}${headers}\r\n`
    return new Promise((resolve, reject) => {
      waiting = { resolve, reject }
      if (socket.destroyed) return fail(new Error(`${target.name} has closed the connection`))
      reader.begin({ bodyless: method === 'HEAD', keep })
      if (body === undefined) socket.write(head, 'latin1')
      else writeAll(socket, head, body)
    })
  }

  return {
    target,
    socket,
    send,
    async expect(status, request) {
      const answer = await send(request)
      if (!status.split(' ').includes(String(answer.status))) throw wrongStatus(target, status, request, answer)
      return answer
    },
    close: () => socket.destroy(),
  }
}

/** So many connections. */
export function openConnections(target: Target, count: number, options?: ConnectionOptions): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => openConnection(target, options)))
}

/** The value of a header, or undefined where there is none. */
export function headerOf({ head }: Answer, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(head)?.[1]
}

function wrongStatus(target: Target, status: string, { method, path }: Request, answer: Answer): Error {
  const said = answer.body.toString('latin1', 0, 200)
  return new Error(
    `${target.name} answered ${method} ${path} with ${answer.status} instead of ${status} ${said}`.trim(),
  )
}

/** Head and body with back-pressure; the first piece goes out together with the head. */
function writeAll(socket: Socket, head: string, body: Iterable<Buffer>): void {
  const pieces = body[Symbol.iterator]()
  const pump = () => {
    for (;;) {
      const { done, value } = pieces.next()
      if (done === true || socket.destroyed) return
      if (!socket.write(value)) {
        socket.once('drain', pump)
        return
      }
    }
  }
  socket.cork()
  socket.write(head, 'latin1')
  pump()
  socket.uncork()
}

/** A socket to a server. What comes goes to `reader` by one buffer of `size` bytes, or waits to be read. */
export function openSocket(
  { name, host, port, ca }: Target,
  reading?: { size: number; reader: AnswerReader },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      ca === undefined
        ? connectPlain({
            host,
            port,
            noDelay: true,
            ...(reading === undefined ? {} : { onread: intoOneBuffer(reading) }),
          })
        : connectSecure({ host, port, ca: certificate(ca), ALPNProtocols: ['http/1.1'] })
    const refused = (error: Error) => reject(new Error(`${name} can't be reached: ${error.message}`))
    socket.once('error', refused)
    socket.once(ca === undefined ? 'connect' : 'secureConnect', () => {
      socket.off('error', refused)
      socket.setNoDelay(true)
      // A TLS socket knows no buffer of ours.
      if (ca !== undefined && reading !== undefined)
        socket.on('data', (bytes: Buffer) => reading.reader.read(bytes, bytes.length))
      resolve(socket)
    })
  })
}

function intoOneBuffer({ size, reader }: { size: number; reader: AnswerReader }): OnReadOpts {
  const buffer = Buffer.allocUnsafeSlow(size)
  return {
    buffer,
    callback: count => {
      reader.read(buffer, count)
      return true
    },
  }
}

const certificates = new Map<string, Buffer>()

function certificate(file: string): Buffer {
  const known = certificates.get(file) ?? readFileSync(file)
  certificates.set(file, known)
  return known
}
