import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import { waitsForContinue, writeContinue } from './bodies/continue.ts'
import { directBodyOf } from './bodies/direct-reads.ts'

/** A client that sends nothing for so long is cut off; an upload keeps what it got. */
export const idleMs = 120_000
/** What is still read of a body that no one wants, so that its client gets to see the answer. */
export const leftOver = { bytes: 64 * 1024 * 1024, ms: 5_000 }

/** Whether a request says that it has a body. */
export function hasBody({ headers, raw }: FastifyRequest): boolean {
  const stream = http2Stream(raw)
  if (stream !== undefined) return !stream.endAfterHeaders
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Reads a small body into memory. @throws the error of `tooLarge` when it is over the limit; RegistryError MANIFEST_INVALID
 * when it breaks off (which only the log gets to see) */
export async function readBody(request: FastifyRequest, limit: number, tooLarge: () => Error): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const body = watchedStream(request)
  writeContinue(body)
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

/** The request's body as a stream that fails when it breaks off, and when its client falls silent. */
function watchedStream({ raw }: FastifyRequest): IncomingMessage {
  raw.setTimeout(idleMs, () => raw.destroy(new Error('the client fell silent in the middle of the body')))
  // Whoever reads it learns of this by the reading; when no one does any more, it must not end the process.
  raw.on('error', () => {})
  // HTTP/2's, in the shape that Node gives it, ends then as if that were all.
  raw.once('aborted', () => raw.destroy(new Error('the client broke the body off')))
  const done = () => raw.setTimeout(0)
  raw.once('end', done)
  raw.once('close', done)
  return raw
}

/**
 * Reads away what is left of a body that the answer does without, as much as is bearable: a client that is cut off
 * while it sends may never see why. Then the connection is free for its next request, or is closed. To be called with
 * each answer, before it is sent; where the connection is closed with the answer, the body is read first.
 */
export async function leaveBody({ raw }: FastifyRequest, { raw: response }: FastifyReply): Promise<void> {
  // There it is done behind the answer (direct-reads.ts).
  if (directBodyOf(raw) !== undefined) return
  if (raw.complete || raw.destroyed) return
  const read = waitsForContinue(raw) ? Promise.resolve(false) : readAway(raw)
  const answer = http2Stream(raw) ?? response
  answer.once('finish', () => {
    void read.then(all => {
      if (!all) cutOff(raw)
    })
  })
  if (raw.httpVersionMajor === 1 && !response.shouldKeepAlive) await read
}

/**
 * Cuts off a client that does not take anything of an answer for so long. Of one that is merely slow nothing may be
 * seen for many minutes either: the kernel takes megabytes for it, and more only when a third of them has left.
 */
export function limitSilence({ raw }: FastifyReply, ms: number): void {
  raw.setTimeout(ms, () => {
    http2Stream(raw)?.close(constants.NGHTTP2_CANCEL)
    raw.destroy()
  })
}

/** The stream of HTTP/2 that a request or a response goes over, of which Node's types for HTTP/1 know nothing. */
export function http2Stream(message: IncomingMessage | ServerResponse): ServerHttp2Stream | undefined {
  return (message as { stream?: ServerHttp2Stream }).stream
}

function cutOff(raw: IncomingMessage): void {
  // After a whole answer this asks the client to send no more (RFC 9113 section 8.1), and spares the other streams.
  const stream = http2Stream(raw)
  if (stream === undefined) raw.destroy()
  else stream.close(constants.NGHTTP2_NO_ERROR)
}

/** @returns whether the body was read to its end, or broke off; false when it is too long or too slow */
async function readAway(raw: IncomingMessage): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  let left = leftOver.bytes
  const count = (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) resolve(false)
  }
  const timer = setTimeout(() => resolve(false), leftOver.ms)
  raw.on('data', count)
  raw.once('error', () => resolve(true))
  raw.once('close', () => resolve(true))
  raw.once('end', () => resolve(true))
  raw.resume()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    raw.off('data', count)
  }
}
