import { Type } from 'typebox'
import { invalid, notFound } from '../../accounts/errors.ts'
import { isDigest } from '../../oci/digest.ts'
import { isIndexType } from '../../oci/media-types.ts'
import { isTag, type Tag } from '../../oci/reference.ts'
import type { TagLifetime } from '../../registry/tags.ts'
import { repositoryOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { flag, isSet, text } from './organization-views.ts'
import { digestOf, repositoryParams, sizeOf, timesOf } from './repository-views.ts'
import { epochSeconds } from './views.ts'

const lifetime = Type.Object({
  name: Type.String(),
  reversion: Type.Boolean(),
  start_ts: Type.Integer(),
  end_ts: Type.Optional(Type.Integer()),
  manifest_digest: Type.String(),
  is_manifest_list: Type.Boolean(),
  size: Type.Union([Type.Integer(), Type.Null()]),
  last_modified: Type.String(),
  expiration: Type.Optional(Type.String()),
})

const largestPage = 100
const usualPage = 50
/** Beyond it, nobody looks. */
const lastPage = 1_000_000

/** The tags of a repository with their history. */
export function tagRoutes(app: ApiInstance, { registry }: RouteOptions): void {
  const { tags: operations, manifests } = registry
  const list = '/api/v1/repository/:repository/tag'
  const url = `${list}/:tag`
  const tags = ['tag']
  const params = Type.Object({ ...repositoryParams.properties, tag: Type.String() })
  const changes = { api: { for: 'repository', role: 'write', content: true } } as const

  app.get(
    list,
    {
      config: { api: { for: 'repository', role: 'read' } },
      schema: {
        summary: 'To what tags point, and pointed before; the newest first',
        tags,
        params: repositoryParams,
        querystring: Type.Object({
          specificTag: Type.Optional(text(1000)),
          filter_tag_name: Type.Optional(text(1000)),
          limit: Type.Optional(Type.Integer({ description: `At most ${largestPage}, ${usualPage} when left out` })),
          page: Type.Optional(Type.Integer()),
          onlyActiveTags: flag,
        }),
        response: {
          200: Type.Object({ tags: Type.Array(lifetime), page: Type.Integer(), has_additional: Type.Boolean() }),
        },
      },
    },
    async request => {
      const { specificTag = '', filter_tag_name: filter = '', ...query } = request.query
      const page = Math.min(Math.max(query.page ?? 1, 1), lastPage)
      const names = narrowed(specificTag, filter)
      if (names === 'none') return { tags: [], page, has_additional: false }
      const limit = Math.min(Math.max(query.limit ?? usualPage, 1), largestPage)
      const live = isSet(query.onlyActiveTags, false)
      const { items, more } = await operations.history(repositoryOf(request).id, { ...names, live, page, limit })
      return { tags: items.map(viewOf), page, has_additional: more }
    },
  )

  app.put(
    url,
    {
      config: changes,
      schema: {
        summary: 'Let a tag point to a manifest of the repository',
        tags,
        params,
        body: Type.Object({
          manifest_digest: Type.Optional(Type.Union([Type.String(), Type.Null()])),
          expiration: Type.Optional(Type.Unknown()),
          immutable: Type.Optional(Type.Unknown()),
        }),
        response: { 201: Type.String() },
      },
    },
    async (request, reply) => {
      const { manifest_digest: digest, expiration, immutable } = request.body
      if (expiration !== undefined) throw invalid('Tags can not be given an expiration here')
      if (immutable !== undefined) throw invalid('Tags can not be made immutable here')
      if (!isTag(request.params.tag))
        throw invalid('A tag has 1 to 128 of A-Z a-z 0-9 _ . - and does not begin with . or -')
      // null comes as an empty text.
      if (typeof digest !== 'string' || digest === '') throw invalid('Missing manifest_digest')
      await operations.set(repositoryOf(request).name, request.params.tag, digestOf(digest))
      return reply.code(201).type('application/json; charset=utf-8').send(JSON.stringify('Updated'))
    },
  )

  app.delete(
    url,
    {
      config: { api: { ...changes.api, deletes: true } },
      schema: { summary: 'End a tag', tags, params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      if (!isTag(request.params.tag)) throw notFound()
      await operations.delete(repositoryOf(request).name, request.params.tag)
      return reply.code(204).send(null)
    },
  )

  app.post(
    `${url}/restore`,
    {
      config: changes,
      schema: {
        summary: 'Let a tag point to a manifest that the repository has, or had until lately',
        tags,
        params,
        body: Type.Object({ manifest_digest: Type.String() }),
        response: { 200: Type.Object({}) },
      },
    },
    async request => {
      const { tag } = request.params
      const digest = request.body.manifest_digest
      if (!isTag(tag) || !isDigest(digest)) throw notFound()
      await manifests.restore(repositoryOf(request).name, digest, { tag, by: request.actor })
      return {}
    },
  )
}

/**
 * What a list is narrowed to by its two parameters; no name is both, or it is one that no tag can have.
 * @throws AccountError for a filter that is not understood
 */
function narrowed(specific: string, filter: string): 'none' | { name?: Tag; part?: string } {
  const [, operation, value = ''] = /^(like|eq):(.+)$/s.exec(filter) ?? []
  if (filter !== '' && operation === undefined)
    throw invalid('filter_tag_name is like: or eq: with a part of the name, or the whole one, behind it')
  const names = [...(specific === '' ? [] : [specific]), ...(operation === 'eq' ? [value] : [])]
  const [name] = names
  const part = operation === 'like' ? value : undefined
  if (name === undefined) return part === undefined ? {} : { part }
  if (!isTag(name) || names.some(other => other !== name)) return 'none'
  return part === undefined || name.toLowerCase().includes(part.toLowerCase()) ? { name } : 'none'
}

function viewOf(tag: TagLifetime) {
  return {
    name: tag.name,
    reversion: tag.reversion,
    start_ts: epochSeconds(tag.lifetime_start),
    ...(tag.lifetime_end === null ? {} : { end_ts: epochSeconds(tag.lifetime_end) }),
    manifest_digest: tag.digest,
    is_manifest_list: isIndexType(tag.media_type),
    size: sizeOf(tag),
    ...timesOf(tag),
  }
}
