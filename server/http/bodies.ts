import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { RegistryError } from '../oci/errors.ts'

/** A client that sends nothing for so long is cut off; an upload keeps what it got. */
const idleMs = 120_000
/** What is still read of a body that no one wants, so that its client gets to see the answer. */
const drain = { bytes: 64 * 1024 * 1024, ms: 10_000 }

/** Whether a request says that it has a body. */
export function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The request's body as a stream that fails when its client falls silent. */
export function bodyStream({ raw }: FastifyRequest): IncomingMessage {
  raw.setTimeout(idleMs, () => raw.destroy(new Error('the client fell silent in the middle of the body')))
  const done = () => raw.setTimeout(0)
  raw.once('end', done)
  raw.once('close', done)
  return raw
}

/** Reads a small body into memory. @throws the error of `tooLarge` when it is over the limit; RegistryError MANIFEST_INVALID
 * when it breaks off (which only the log gets to see) */
export async function readBody(request: FastifyRequest, limit: number, tooLarge: () => Error): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const body = bodyStream(request)
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('a request body must be a stream of bytes')
      length += chunk.length
      if (length > limit) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (error) {
    if (body.errored === null) throw error
    throw new RegistryError('MANIFEST_INVALID', { message: 'the body ended before its end', cause: error })
  }
  return Buffer.concat(chunks, length)
}

/**
 * Reads away what is left of a body when the answer was sent without it, as much as is bearable: a client that is
 * cut off while it sends may never see why. Then the connection is free for its next request, or is closed.
 */
export function drainBody({ raw }: FastifyRequest): void {
  if (raw.complete || raw.destroyed) return
  let left = drain.bytes
  const close = () => raw.destroy()
  const timer = setTimeout(close, drain.ms)
  raw.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) close()
  })
  raw.once('error', () => {})
  raw.once('close', () => clearTimeout(timer))
  raw.once('end', () => clearTimeout(timer))
  raw.resume()
}
