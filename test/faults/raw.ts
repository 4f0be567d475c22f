import { connect, type Socket } from 'node:net'
import type { IncomingHttpHeaders } from 'node:http'

/** HTTP by hand: what no client library would send, and every answer as it came over the wire. */

export interface RawAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface RawExchange {
  /** What to send, piece by piece. */
  pieces: readonly Buffer[]
  /** The method of each request in it: an answer to HEAD has no body. */
  methods: readonly string[]
  /** What becomes of the client's side afterwards: it stays open, it is closed in order, or the connection is cut. */
  after?: 'stay' | 'end' | 'cut' | undefined
  timeoutMs?: number
}

export interface RawResult {
  answers: RawAnswer[]
  /** How the exchange ended: with all answers, by the server closing, or by patience running out. */
  over: 'answered' | 'closed' | 'timeout'
}

/** Sends bytes on a connection of their own and reads the answers. */
export function exchange(
  port: number,
  { pieces, methods, after = 'stay', timeoutMs = 15_000 }: RawExchange,
): Promise<RawResult> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const answers: RawAnswer[] = []
    let pending = Buffer.alloc(0)
    const finish = (over: RawResult['over']) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ answers, over })
    }
    const timer = setTimeout(() => finish('timeout'), timeoutMs)
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      for (;;) {
        const read = readAnswer(pending, methods[answers.length] ?? 'GET')
        if (read === undefined) break
        pending = pending.subarray(read.length)
        if (read.answer.status >= 200) answers.push(read.answer)
      }
      if (answers.length >= methods.length) finish('answered')
    })
    socket.on('error', () => {})
    socket.on('close', () => finish(answers.length >= methods.length ? 'answered' : 'closed'))
    socket.on('connect', () => write(socket, pieces, after))
  })
}

function write(socket: Socket, pieces: readonly Buffer[], after: 'stay' | 'end' | 'cut'): void {
  const [piece, ...rest] = pieces
  if (piece !== undefined) {
    socket.write(piece, () => setImmediate(() => write(socket, rest, after)))
  } else if (after === 'end') {
    socket.end()
  } else if (after === 'cut') {
    socket.destroy()
  }
}

/** The first whole answer in the bytes; undefined while it is not all there. */
function readAnswer(bytes: Buffer, method: string): { answer: RawAnswer; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const headers: IncomingHttpHeaders = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1])
  const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304
  const start = end + 4
  if (!bodiless && headers['transfer-encoding'] === 'chunked') return readChunked({ bytes, start, status, headers })
  const size = bodiless ? 0 : Number(headers['content-length'])
  if (!(bytes.length >= start + size)) return undefined
  return { answer: { status, headers, body: bytes.subarray(start, start + size) }, length: start + size }
}

interface Begun {
  bytes: Buffer
  start: number
  status: number
  headers: IncomingHttpHeaders
}

function readChunked({ bytes, start, status, headers }: Begun): { answer: RawAnswer; length: number } | undefined {
  const chunks: Buffer[] = []
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    const next = line + 2 + size + 2
    if (!(next <= bytes.length)) return undefined
    if (size === 0) return { answer: { status, headers, body: Buffer.concat(chunks) }, length: next }
    chunks.push(bytes.subarray(line + 2, line + 2 + size))
    at = next
  }
}

/** The bytes of a request; what is beyond ASCII goes as one byte each. */
export function requestBytes(
  method: string,
  target: string,
  {
    headers = [],
    body = '',
    length = true,
  }: { headers?: readonly (readonly [string, string])[]; body?: Buffer | string; length?: boolean } = {},
): Buffer {
  const given = new Set(headers.map(([name]) => name.toLowerCase()))
  const bytes = Buffer.from(body)
  const lines = [
    `${method} ${target} HTTP/1.1`,
    ...(given.has('host') ? [] : ['Host: 127.0.0.1']),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(length && bytes.length > 0 ? [`Content-Length: ${bytes.length}`] : []),
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
}
