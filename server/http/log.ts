import type { FastifyInstance } from 'fastify'

/** Paths that are asked every second or so, and tell nothing when all is well. */
const probes = new Set(['/', '/livez', '/readyz'])

/** One line a request, when it is over. */
export function logRequests(app: FastifyInstance, { enabled }: { enabled: boolean }): void {
  if (!enabled) return
  app.addHook('onResponse', async (request, reply) => {
    const path = request.originalUrl
    const quiet = reply.statusCode < 400 && probes.has(path)
    request.log[quiet ? 'debug' : 'info'](
      {
        method: request.method,
        path: path.slice(0, 1000),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        received: received(request.headers['content-length']),
        sent: received(reply.getHeader('content-length')),
        client: request.ip,
        agent: request.headers['user-agent'],
      },
      'request',
    )
  })
  app.addHook('onRequestAbort', async request => {
    request.log.info(
      { method: request.method, path: request.originalUrl.slice(0, 1000), client: request.ip },
      'request broken off',
    )
  })
}

/** Bytes as a header tells them; undefined (and so not in the line) when it does not. */
function received(length: unknown): number | undefined {
  return length === undefined ? undefined : Number(length)
}
