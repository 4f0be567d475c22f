import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { http2Stream } from './bodies.ts'
import { directBodyOf } from './bodies/direct-reads.ts'

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
  const received = countReceived(request.raw)
  const sent = countSent(reply.raw, request.method)

  reply.raw.once('close', () => {
    const { headersSent, statusCode: status } = reply.raw
    const whole = isWhole(reply.raw)
    const quiet = whole && status < 400 && probes.has(request.originalUrl)
    request.log[quiet ? 'debug' : 'info'](
      {
        id: request.id,
        method: request.method,
        path: request.originalUrl.slice(0, 1000),
        ...(headersSent ? { status } : {}),
        ms: Math.round((performance.now() - began) * 10) / 10,
        received: received(),
        sent: sent(),
        client,
        ...named('forwarded', request.headers['x-forwarded-for']),
        ...named('agent', request.headers['user-agent']),
        ...named('repository', repositoryOf(request)),
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

/** Counts the bytes of a body as they come in, without having a hand in the stream. */
function countReceived(request: IncomingMessage): () => number {
  const direct = directBodyOf(request)
  if (direct !== undefined) return () => direct.received
  const push = request.push.bind(request)
  let bytes = 0
  request.push = (chunk: unknown, encoding) => {
    if (Buffer.isBuffer(chunk)) bytes += chunk.length
    return push(chunk, encoding)
  }
  return () => bytes
}

/** Counts the bytes of an answer's body as they are given to the connection. */
function countSent(response: ServerResponse, method: string): () => number {
  const write = response.write.bind(response)
  const end = response.end.bind(response)
  let bytes = 0
  // HTTP/2 ends an answer by its own `write`.
  let ending = false
  const add = (chunk: unknown) => {
    if (ending || typeof chunk === 'function') return
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) bytes += Buffer.byteLength(chunk)
  }
  response.write = (...given: unknown[]) => {
    add(given[0])
    return Reflect.apply(write, response, given)
  }
  response.end = (...given: unknown[]) => {
    add(given[0])
    ending = true
    return Reflect.apply(end, response, given)
  }
  return () => (method === 'HEAD' ? 0 : bytes)
}

function repositoryOf({ params }: FastifyRequest): string | undefined {
  const name: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, 'name') : undefined
  return typeof name === 'string' ? name : undefined
}

/** A field of what a client may have made up, so cut to a length; none when there is nothing. */
function named(field: string, value: string | string[] | undefined): Record<string, string> {
  const text = Array.isArray(value) ? value.join(', ') : value
  return text === undefined ? {} : { [field]: text.slice(0, 300) }
}
