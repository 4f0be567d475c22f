import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseRepositoryName } from '../../oci/repository-name.ts'
import type { Blob, Blobs } from '../../registry/blobs.ts'
import { type AccelRedirect, createAccelRedirect } from '../accel-redirect.ts'
import { failedCondition } from '../conditions.ts'
import { createDownloads, type OpenRange } from '../downloads.ts'
import { parseRange, type Range } from '../range.ts'
import { createRedirects, type Redirect, type RedirectOptions } from '../redirects.ts'
import { header, pathParameter } from './parameters.ts'

interface BlobRoutesOptions {
  blobs: Blobs
  accelRedirect: string | undefined
  redirect: RedirectOptions | undefined
}

/** Blobs on their way out (distribution spec, "Pulling blobs"), and their deletion. */
export async function blobRoutes(app: FastifyInstance, options: BlobRoutesOptions): Promise<void> {
  const { blobs } = options
  const openRange = createDownloads()
  const accelRedirect = createAccelRedirect(options.accelRedirect, blobs)
  const redirect = createRedirects(options.redirect, blobs)
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v2/:name/blobs/:digest',
    config: { access: 'pull' },
    handler: async (request, reply) => {
      const blob = await blobs.get(nameOf(request), digestOf(request))
      reply.headers(describe(blob))
      const failed = failedCondition(request.headers, blob.digest)
      if (failed === 304) return reply.code(304).send()
      if (failed === 412)
        throw new RegistryError('UNSUPPORTED', { status: 412, message: 'the blob is not the one of If-Match' })
      return sendBlob(request, reply, { blob, openRange, accelRedirect, redirect })
    },
  })

  app.delete('/v2/:name/blobs/:digest', { config: { access: 'delete' } }, async (request, reply) => {
    await blobs.delete(nameOf(request), digestOf(request))
    return reply.code(202).send()
  })
}

function describe({ digest }: Blob) {
  return {
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'cache-control': 'max-age=31536000, immutable',
    'accept-ranges': 'bytes',
  }
}

const nameOf = (request: FastifyRequest) => parseRepositoryName(pathParameter(request, 'name'))
const digestOf = (request: FastifyRequest) => parseDigest(pathParameter(request, 'digest'))

interface Download {
  blob: Blob
  openRange: OpenRange
  accelRedirect: AccelRedirect
  redirect: Redirect
}

async function sendBlob(
  request: FastifyRequest,
  reply: FastifyReply,
  { blob, openRange, accelRedirect, redirect }: Download,
): Promise<FastifyReply> {
  const ranges =
    request.method === 'GET' && ifRangeHolds(request, blob)
      ? parseRange(header(request, 'range'), blob.size)
      : undefined
  if (ranges === 'unsatisfiable') {
    throw new RegistryError('UNSUPPORTED', {
      status: 416,
      message: `the blob has ${blob.size} bytes, nothing of the Range is in it`,
      headers: { 'content-range': `bytes */${blob.size}` },
    })
  }
  const file = accelRedirect(request, blob)
  if (file !== undefined) return reply.type('application/octet-stream').header('x-accel-redirect', file).send()
  const url = redirect(request, blob)
  if (url !== undefined) return sendAway(reply, await url)
  if (ranges !== undefined && ranges.length > 1) return sendParts(reply, blob, ranges)
  const [range] = ranges ?? []
  reply.type('application/octet-stream')
  if (range === undefined) {
    reply.header('content-length', blob.size)
    return request.method === 'HEAD' || blob.size === 0
      ? reply.send()
      : reply.send(await openRange(blob, { first: 0, last: blob.size - 1 }, reply))
  }
  reply.code(206).headers({
    'content-length': range.last - range.first + 1,
    'content-range': `bytes ${range.first}-${range.last}/${blob.size}`,
  })
  return reply.send(await openRange(blob, range, reply))
}

/** Sends the client to a URL at which anyone gets the blob, so that no cache may keep it for those who may not. */
function sendAway(reply: FastifyReply, url: string): FastifyReply {
  return reply
    .code(307)
    .removeHeader('etag')
    .removeHeader('accept-ranges')
    .headers({ location: url, 'cache-control': 'no-store', 'content-length': 0 })
    .send()
}

/** RFC 9110 section 13.1.5: a Range counts only while the client's part is of the same representation. */
function ifRangeHolds(request: FastifyRequest, blob: Blob): boolean {
  const condition = header(request, 'if-range')
  return condition === undefined || condition.trim() === `"${blob.digest}"`
}

/** Several ranges as multipart/byteranges (RFC 9110 section 14.6), with an exact length. */
function sendParts(reply: FastifyReply, blob: Blob, ranges: readonly Range[]): FastifyReply {
  // Not to be known beforehand: a blob could be made that has it inside.
  const boundary = randomUUID()
  const heads = ranges.map(
    ({ first, last }, index) =>
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\ncontent-type: application/octet-stream\r\n` +
      `content-range: bytes ${first}-${last}/${blob.size}\r\n\r\n`,
  )
  const end = `\r\n--${boundary}--\r\n`
  const bytes = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  const length = heads.reduce((sum, head) => sum + head.length, 0) + bytes + end.length

  async function* parts() {
    for (const [index, range] of ranges.entries()) {
      yield Buffer.from(heads[index] ?? '')
      yield* await blob.read(range)
    }
    yield Buffer.from(end)
  }
  return reply
    .code(206)
    .type(`multipart/byteranges; boundary=${boundary}`)
    .header('content-length', length)
    .send(Readable.from(parts(), { objectMode: false }))
}
