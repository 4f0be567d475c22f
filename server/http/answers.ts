import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { hasBody, http2Stream } from './bodies.ts'

/** Up to so many bytes an answer goes out as one string with its headers: one write of one piece, and no request to wait for. */
const small = 16 * 1024

/**
 * Sends an answer whose bytes are all there. It goes straight to Node's response: what the framework does for an answer
 * (its hooks, looking at the payload's kind) costs as much as finding a manifest.
 */
export function sendBytes(request: FastifyRequest, reply: FastifyReply, bytes: Buffer): FastifyReply {
  reply.header('content-length', bytes.length)
  const { raw } = reply
  // A body that is to be read away first (app.ts), or a client whose connection is another's.
  if (hasBody(request) || http2Stream(raw) !== undefined) return reply.send(bytes)
  reply.hijack()
  raw.writeHead(reply.statusCode, headersOf(reply))
  if (request.method === 'HEAD') raw.end()
  else if (bytes.length <= small) raw.end(bytes.toString('latin1'), 'latin1')
  else raw.end(bytes)
  return reply
}

/** The same, as Node's types name them. */
const headersOf = (reply: FastifyReply) => reply.getHeaders() as OutgoingHttpHeaders
