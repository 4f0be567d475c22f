import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Guard } from '../../access/guard.ts'
import {
  type Digest,
  digestAlgorithms,
  type DigestAlgorithm,
  isDigestAlgorithm,
  parseDigest,
} from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { isRepositoryName, parseRepositoryName, type RepositoryName } from '../../oci/repository-name.ts'
import type { Blobs } from '../../registry/blobs.ts'
import type { Upload, UploadBody, UploadPlace, Uploads } from '../../registry/uploads.ts'
import { hasBody } from '../bodies.ts'
import type { OpenBody } from '../bodies/open-body.ts'
import type { Locate } from '../locations.ts'
import { header, pathParameter, queryValue } from './parameters.ts'

export interface UploadRouteOptions {
  uploads: Uploads
  blobs: Blobs
  guard: Guard
  locate: Locate
  openBody: OpenBody
}

/** Blobs on their way in (distribution spec, "Pushing blobs", "Mounting a blob from another repository"). */
export async function uploadRoutes(
  app: FastifyInstance,
  { uploads, blobs, guard, locate, openBody }: UploadRouteOptions,
): Promise<void> {
  const url = '/v2/:name/blobs/uploads/:upload'

  // Blobs have no type, whatever a client says of the body; the framework would refuse one that it can't read.
  app.addHook('onRequest', async request => {
    delete request.headers['content-type']
  })

  /** The headers by which a client finds its upload again. */
  function describeUpload(request: FastifyRequest, reply: FastifyReply, upload: Upload): FastifyReply {
    return reply.headers({
      location: locate(request, `/v2/${upload.repository}/blobs/uploads/${upload.id}`),
      // An empty upload is `0-0` by convention, as one of one byte is.
      range: `0-${Math.max(upload.offset - 1, 0)}`,
      'docker-upload-uuid': upload.id,
    })
  }

  function created(
    request: FastifyRequest,
    reply: FastifyReply,
    repository: RepositoryName,
    digest: Digest,
  ): FastifyReply {
    return reply
      .code(201)
      .headers({ location: locate(request, `/v2/${repository}/blobs/${digest}`), 'docker-content-digest': digest })
      .send()
  }

  app.post('/v2/:name/uploads', { config: { access: 'push' } }, async (request, reply) => {
    const place = placeOf(request)
    const { repository: name, by } = place
    const algorithm = algorithmParameter(request)
    const mount = queryValue(request, 'mount')
    if (mount !== undefined) {
      const digest = parseDigest(mount)
      const from = queryValue(request, 'from')
      // A name that no repository can have is like one that none has: the client uploads.
      const possible = from === undefined || isRepositoryName(from)
      const mayPull = (source: RepositoryName) => guard.may(by, 'pull', source)
      if (possible && (await blobs.mount(name, digest, { by, from, mayPull })))
        return created(request, reply, name, digest)
    } else if (queryValue(request, 'digest') !== undefined) {
      const digest = digestParameter(request)
      await uploads.push(place, { digest, body: bodyOf(request, openBody) })
      return created(request, reply, name, digest)
    }
    return describeUpload(request, reply, await uploads.begin(place, { algorithm }))
      .code(202)
      .send()
  })

  app.route({
    method: ['GET', 'HEAD'],
    url,
    config: { access: 'upload' },
    handler: async (request, reply) => {
      const upload = await uploads.status(placeOf(request), uploadOf(request))
      return describeUpload(request, reply, upload).code(204).send()
    },
  })

  app.patch(url, { config: { access: 'upload' } }, async (request, reply) => {
    const upload = await uploads.append(placeOf(request), uploadOf(request), bodyOf(request, openBody))
    return describeUpload(request, reply, upload).code(202).send()
  })

  app.put(url, { config: { access: 'upload' } }, async (request, reply) => {
    const place = placeOf(request)
    const digest = digestParameter(request)
    // Some clients close with the range of their last PATCH and no body: it says nothing of this request.
    const body = hasBody(request) ? bodyOf(request, openBody) : { content: openBody(request) }
    await uploads.finish(place, uploadOf(request), { digest, body })
    return created(request, reply, place.repository, digest)
  })

  app.delete(url, { config: { access: 'cancel' } }, async (request, reply) => {
    await uploads.cancel(placeOf(request), uploadOf(request))
    return reply.code(204).send()
  })
}

const placeOf = (request: FastifyRequest): UploadPlace => ({
  repository: parseRepositoryName(pathParameter(request, 'name')),
  by: request.actor,
})
const uploadOf = (request: FastifyRequest) => pathParameter(request, 'upload')

/** @throws RegistryError DIGEST_INVALID when it is missing or bad */
function digestParameter(request: FastifyRequest): Digest {
  const digest = queryValue(request, 'digest')
  if (digest === undefined) {
    throw new RegistryError('DIGEST_INVALID', {
      message: 'the digest of the blob is missing: end the upload with ?digest=',
    })
  }
  return parseDigest(digest)
}

/** @throws RegistryError DIGEST_INVALID for an algorithm that is not known */
function algorithmParameter(request: FastifyRequest): DigestAlgorithm | undefined {
  const algorithm = queryValue(request, 'digest-algorithm')
  if (algorithm === undefined || isDigestAlgorithm(algorithm)) return algorithm
  throw new RegistryError('DIGEST_INVALID', {
    message: `digest-algorithm must be one of ${digestAlgorithms.join(', ')}`,
    detail: { 'digest-algorithm': algorithm.slice(0, 100) },
  })
}

/** The body with what the headers say of its place. @throws RegistryError BLOB_UPLOAD_INVALID 416, SIZE_INVALID */
function bodyOf(request: FastifyRequest, openBody: OpenBody): UploadBody {
  const range = contentRange(header(request, 'content-range'))
  const length = header(request, 'content-length')
  if (
    range !== undefined &&
    hasBody(request) &&
    length !== undefined &&
    Number(length) !== range.last - range.first + 1
  ) {
    throw new RegistryError('SIZE_INVALID', {
      message: `the Content-Range speaks of ${range.last - range.first + 1} bytes, the Content-Length of ${length}`,
    })
  }
  return { content: openBody(request), range }
}

/** `<first>-<last>`, as the specification has it, or with the unit of RFC 9110 before and the size behind it. */
function contentRange(text: string | undefined): UploadBody['range'] {
  if (text === undefined) return undefined
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(text.trim())
  const range = match === null ? undefined : { first: Number(match[1]), last: Number(match[2]) }
  if (range === undefined || range.last < range.first) {
    throw new RegistryError('BLOB_UPLOAD_INVALID', {
      status: 416,
      message: 'the Content-Range must be <first>-<last>, the numbers of the first and the last byte of the body',
      detail: { 'content-range': text.slice(0, 100) },
    })
  }
  return range
}
