import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { manifestLimit } from '../../oci/manifest.ts'
import { parseReference, parseTag, type Reference } from '../../oci/reference.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseRepositoryName } from '../../oci/repository-name.ts'
import type { Manifest } from '../../registry/manifest-memory.ts'
import { type Manifests, tooLarge } from '../../registry/manifests.ts'
import type { TagCondition } from '../../registry/tag-conditions.ts'
import type { Tags } from '../../registry/tags.ts'
import { sendBytes } from '../answers.ts'
import { readBody } from '../bodies.ts'
import { entityTags, failedCondition } from '../conditions.ts'
import type { Locate } from '../locations.ts'
import { badQuery, header, pathParameter, queryValues } from './parameters.ts'

export interface ManifestRouteOptions {
  manifests: Manifests
  tags: Tags
  locate: Locate
}

/** More tags in one push than anyone needs; the specification asks for ten at least. */
const mostTags = 100

/** Manifests in and out (distribution spec, "Pulling manifests", "Pushing Manifests", "Deleting tags"). */
export async function manifestRoutes(
  app: FastifyInstance,
  { manifests, tags: tagOperations, locate }: ManifestRouteOptions,
): Promise<void> {
  const url = '/v2/:name/manifests/:reference'

  app.route({
    method: ['GET', 'HEAD'],
    url,
    config: { access: 'pull' },
    // No promise where the manifest is in memory: to wait for it would take longer than to find it.
    handler: (request, reply) => {
      const reference = referenceOf(request)
      const manifest = manifests.get(nameOf(request), reference)
      return manifest instanceof Promise
        ? manifest.then(found => sendManifest(request, reply, { reference, manifest: found }))
        : sendManifest(request, reply, { reference, manifest })
    },
  })

  app.put(url, { config: { access: 'push' } }, async (request, reply) => {
    const name = nameOf(request)
    const reference = referenceOf(request)
    const tags = tagParameters(request, reference.kind)
    const pushed = await manifests.put(name, reference, {
      by: request.actor,
      tags,
      condition: conditionOf(request, tags),
      contentType: header(request, 'content-type'),
      bytes: await readBody(request, manifestLimit, tooLarge),
    })
    reply.headers({
      location: locate(request, `/v2/${name}/manifests/${pushed.digest}`),
      'docker-content-digest': pushed.digest,
    })
    if (pushed.subject !== undefined) reply.header('oci-subject', pushed.subject)
    if (tags.length > 0) reply.header('oci-tag', tags)
    return reply.code(201).send()
  })

  app.delete(url, { config: { access: 'delete' } }, async (request, reply) => {
    const reference = referenceOf(request)
    const condition = conditionOf(request)
    if (reference.kind === 'tag') await tagOperations.delete(nameOf(request), reference.tag, condition)
    else await manifests.delete(nameOf(request), reference.digest, condition)
    return reply.code(202).send()
  })
}

interface FoundManifest {
  reference: Reference
  manifest: Manifest
}

function sendManifest(
  request: FastifyRequest,
  reply: FastifyReply,
  { reference, manifest: { digest, mediaType, bytes } }: FoundManifest,
): FastifyReply {
  reply.headers({
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'cache-control': reference.kind === 'digest' ? 'max-age=31536000, immutable' : 'no-cache',
  })
  const failed = failedCondition(request.headers, digest)
  if (failed === 304) return reply.code(304).send()
  if (failed === 412) {
    const message = 'the manifest is not the one of If-Match'
    throw new RegistryError('MANIFEST_INVALID', { status: 412, message, detail: { digest } })
  }
  return sendBytes(request, reply.type(mediaType), bytes)
}

const nameOf = (request: FastifyRequest) => parseRepositoryName(pathParameter(request, 'name'))
const referenceOf = (request: FastifyRequest) => parseReference(pathParameter(request, 'reference'))

/** `?tag=`, once or more, on a push by digest. @throws RegistryError MANIFEST_INVALID; UNSUPPORTED 414, 400 */
function tagParameters(request: FastifyRequest, kind: 'tag' | 'digest') {
  const tags = queryValues(request, 'tag').map(parseTag)
  if (tags.length > 0 && kind === 'tag') throw badQuery('the parameter tag goes with a push by digest', { tags })
  if (tags.length > mostTags) {
    throw new RegistryError('UNSUPPORTED', { status: 414, message: `at most ${mostTags} tags can be set in one push` })
  }
  return [...new Set(tags)]
}

/**
 * If-Match and If-None-Match of a request that changes something: compare and swap.
 * @throws RegistryError UNSUPPORTED 400 beside `?tag=`, where it could not be said which tag is meant
 */
function conditionOf({ headers }: FastifyRequest, tags: readonly string[] = []): TagCondition | undefined {
  const match = entityTags(headers['if-match'])
  const noneMatch = entityTags(headers['if-none-match'])
  if (match === undefined && noneMatch === undefined) return undefined
  if (tags.length > 0) throw badQuery('If-Match and If-None-Match do not go with the parameter tag', { tags })
  return { match, noneMatch }
}
