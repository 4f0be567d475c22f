import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { piecesOf } from '../../bytes/body.ts'
import { createBufferPool } from '../../bytes/buffers.ts'
import type { Logger } from '../../lib/log.ts'
import { canReadDirectly } from './direct-socket.ts'
import { directBodyOf, readDirectly } from './direct-reads.ts'

const bodySize = 1024 * 1024
const tookTooLongMs = 5_000

/**
 * Whether this Node lets bodies be read past its parser, tried with real ones: two on one connection, by length and in
 * chunks, and a request without a body behind them.
 */
export async function directReadsWork(log: Logger): Promise<boolean> {
  try {
    if (!canReadDirectly()) throw new Error('sockets of this Node have no buffer that can be set')
    await tryDirectReads()
    return true
  } catch (error) {
    log.warn({ err: error, node: process.version }, 'large bodies are read the ordinary way, which is slower')
    return false
  }
}

/** @throws Error when other bytes arrive than were sent, or none */
async function tryDirectReads(): Promise<void> {
  const server = http.createServer({ shouldUpgradeCallback: () => false }, answerWithHash)
  const limits = { idleMs: tookTooLongMs, leftOver: { bytes: 0, ms: 0 } }
  readDirectly(server, { pool: createBufferPool(), wants: () => true, ...limits })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address to try it at')
  const socket = connect(address.port, '127.0.0.1')
  const timer = setTimeout(() => socket.destroy(new Error('it takes too long')), tookTooLongMs)
  try {
    const one = randomBytes(bodySize)
    const other = randomBytes(bodySize)
    const head = 'HTTP/1.1\r\nHost: a\r\n'
    socket.write(`PUT / ${head}Content-Length: ${bodySize}\r\n\r\n`)
    socket.write(one)
    socket.write(`PUT / ${head}Transfer-Encoding: chunked\r\n\r\n${bodySize.toString(16)}\r\n`)
    socket.write(other)
    socket.write(`\r\n0\r\n\r\nGET / ${head}Connection: close\r\n\r\n`)
    const answers = await text(socket)
    const found = [...answers.matchAll(/\r\n\r\n([0-9a-f]{64})/g)].map(match => match[1])
    const expected = [one, other, Buffer.alloc(0)].map(bytes => createHash('sha256').update(bytes).digest('hex'))
    if (found.join() !== expected.join()) throw new Error('other bytes arrived than were sent')
  } finally {
    clearTimeout(timer)
    socket.destroy()
    server.closeAllConnections()
    server.close()
  }
}

const answerWithHash: RequestListener = (request, response) => {
  hashOf(request).then(
    hex => response.end(hex),
    () => response.destroy(),
  )
}

async function hashOf(request: IncomingMessage): Promise<string> {
  const body = directBodyOf(request)
  if (body === undefined && request.method !== 'GET') throw new Error('the body came the ordinary way')
  const hash = createHash('sha256')
  for (let filled = await body?.next(); filled !== undefined; filled = await body?.next()) {
    for (const piece of piecesOf(filled)) hash.update(piece)
    filled.release()
  }
  return hash.digest('hex')
}
