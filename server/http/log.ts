import type { ServerResponse } from 'node:http'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { http2Stream } from './bodies.ts'
import { directBodyOf } from './bodies/direct-reads.ts'
import { receivedBy, sentBy } from './messages.ts'

/** Paths that are asked every second or so, and tell nothing when all is well. */
const probes = new Set(['/', '/livez', '/readyz'])

/** The framework's own lines: none but for what goes wrong once an answer has begun, which no one else sees. */
export function frameworkLines(): LogController {
  const lines = new LogController({ disableRequestLogging: true })
  lines.streamError = (error, _request, reply) => {
    // Of a client that has gone away the request's own line tells.
    if ('code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') return
    reply.log.error({ id: reply.request.id, err: error }, 'answer broken off')
  }
  return lines
}

/** Has one line written for each request, when it is over or has been broken off. */
export function logRequests(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    logWhenOver(request, reply)
    done()
  })
}

/** One line for this request, when it is over or has been broken off. */
export function logWhenOver(request: FastifyRequest, reply: FastifyReply): void {
  const began = performance.now()
  // While the connection is there to tell.
  const client = request.ip
  reply.raw.once('close', () => {
    const { raw, headers, method, originalUrl } = request
    const { headersSent, statusCode: status } = reply.raw
    const whole = isWhole(reply.raw)
    const quiet = whole && status < 400 && probes.has(originalUrl)
    // What is undefined gets no place in the line.
    request.log[quiet ? 'debug' : 'info'](
      {
        id: request.id,
        method,
        path: cut(originalUrl, 1000),
        status: headersSent ? status : undefined,
        ms: Math.round((performance.now() - began) * 10) / 10,
        received: directBodyOf(raw)?.received ?? receivedBy(raw),
        sent: method === 'HEAD' ? 0 : sentBy(reply.raw),
        client,
        forwarded: cut(joined(headers['x-forwarded-for']), 300),
        agent: cut(headers['user-agent'], 300),
        repository: cut(repositoryOf(request), 300),
      },
      whole ? 'request' : 'request broken off',
    )
  })
}

/** Whether all of an answer was given to the connection. */
function isWhole(response: ServerResponse): boolean {
  // HTTP/2 calls every response that is over finished; its stream knows how it ended.
  const stream = http2Stream(response)
  return stream === undefined ? response.writableFinished : stream.rstCode === 0
}

function repositoryOf({ params }: FastifyRequest): string | undefined {
  const name: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, 'name') : undefined
  return typeof name === 'string' ? name : undefined
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

/** What a client may have made up, at most so many characters of it. */
function cut<Text extends string | undefined>(text: Text, most: number): Text | string {
  return text === undefined || text.length <= most ? text : text.slice(0, most)
}
