import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Test } from 'tap'
import type { Body } from '../../../server/bytes/body.ts'
import { type BufferPool, createBufferPool } from '../../../server/bytes/buffers.ts'
import { directBodyOf, type DirectReadOptions, readDirectly } from '../../../server/http/bodies/direct-reads.ts'
import { streamBody } from '../../../server/http/bodies/stream-body.ts'

/** A request as a handler of these tests sees it: its body comes the direct way, or else the ordinary one. */
export interface Received {
  request: IncomingMessage
  response: ServerResponse
  body: Body
  direct: boolean
}

export interface BodyServer {
  url: string
  server: http.Server
  pool: BufferPool
}

export interface BodyServerOptions extends Partial<DirectReadOptions> {
  /** What it throws ends its connection, and is kept in `errors`. */
  handle(received: Received): Promise<void>
  errors?: unknown[]
}

/** Node's own server with bodies read directly, and nothing of the registry; it ends with its test. */
export async function startBodyServer(t: Test, options: BodyServerOptions): Promise<BodyServer> {
  const pool = options.pool ?? createBufferPool()
  const { idleMs = 30_000, leftOver = { bytes: 64 * 1024 * 1024, ms: 10_000 }, wants = () => true } = options
  const server = http.createServer({ shouldUpgradeCallback: () => false }, (request, response) => {
    const direct = directBodyOf(request)
    const body = direct ?? streamBody(request, { pool, idleMs })
    options.handle({ request, response, body, direct: direct !== undefined }).catch((error: unknown) => {
      options.errors?.push(error)
      response.destroy()
    })
  })
  readDirectly(server, { pool, wants, idleMs, leftOver })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    // Node's own knows nothing of the connections whose parser was left.
    for (const socket of sockets) socket.destroy()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  })
  const sockets = new Set<IncomingMessage['socket']>()
  server.on('connection', socket => {
    if (sockets.has(socket)) return
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address')
  return { url: `http://127.0.0.1:${address.port}`, server, pool }
}
