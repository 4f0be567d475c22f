import { Type } from 'typebox'
import { notFound } from '../../accounts/errors.ts'
import type { LayerDescription } from '../../registry/images.ts'
import type { Label } from '../../registry/labels.ts'
import { repositoryOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { text } from './organization-views.ts'
import { digestOf, repositoryParams } from './repository-views.ts'
import { rfc2822 } from './views.ts'

const orNull = { text: Type.Union([Type.String(), Type.Null()]), number: Type.Union([Type.Integer(), Type.Null()]) }

const layerView = Type.Object({
  index: Type.Integer(),
  compressed_size: Type.Integer(),
  is_remote: Type.Boolean(),
  urls: Type.Union([Type.Array(Type.String()), Type.Null()]),
  command: Type.Union([Type.Array(Type.String()), Type.Null()]),
  comment: orNull.text,
  author: orNull.text,
  blob_digest: Type.String(),
  created_datetime: orNull.text,
})

const manifestView = Type.Object({
  digest: Type.String(),
  is_manifest_list: Type.Boolean(),
  manifest_data: Type.String(),
  config_media_type: orNull.text,
  layers_compressed_size: orNull.number,
  layers: Type.Union([Type.Array(layerView), Type.Null()]),
})

const labelView = Type.Object({
  id: Type.String(),
  key: Type.String(),
  value: Type.String(),
  source_type: Type.Union([Type.Literal('manifest'), Type.Literal('api')]),
  media_type: Type.String(),
})

const mediaType = Type.Union([Type.Literal('text/plain'), Type.Literal('application/json'), Type.Null()])

/** Manifests as people look at them, and their labels. */
export function manifestRoutes(app: ApiInstance, { registry: { images, labels }, origin }: RouteOptions): void {
  const url = '/api/v1/repository/:repository/manifest/:digest'
  const tags = ['manifest']
  const params = Type.Object({ ...repositoryParams.properties, digest: Type.String() })
  const labelParams = Type.Object({ ...params.properties, label: Type.String() })
  const reads = { api: { for: 'repository', role: 'read' } } as const
  const changes = { api: { for: 'repository', role: 'write', content: true } } as const

  app.get(
    url,
    {
      config: reads,
      schema: { summary: 'A manifest with its layers', tags, params, response: { 200: manifestView } },
    },
    async request => {
      const found = await images.describe(repositoryOf(request).name, digestOf(request.params.digest))
      return {
        digest: found.digest,
        is_manifest_list: found.isIndex,
        manifest_data: found.text,
        config_media_type: found.configMediaType ?? null,
        layers_compressed_size: found.layersSize ?? null,
        layers: found.layers?.map(viewOfLayer) ?? null,
      }
    },
  )

  app.get(
    `${url}/labels`,
    {
      config: reads,
      schema: {
        summary: 'The labels of an image, and those that were given to its manifest',
        tags,
        params,
        querystring: Type.Object({ filter: Type.Optional(text(255)) }),
        response: { 200: Type.Object({ labels: Type.Array(labelView) }) },
      },
    },
    async request => {
      const digest = digestOf(request.params.digest)
      const found = await labels.list(repositoryOf(request).name, digest, request.query.filter ?? '')
      return { labels: found.map(viewOfLabel) }
    },
  )

  app.post(
    `${url}/labels`,
    {
      config: changes,
      schema: {
        summary: 'Give a manifest a label',
        tags,
        params,
        body: Type.Object({ key: Type.String(), value: text(64 * 1024), media_type: mediaType }),
        response: { 201: Type.Object({ label: labelView }) },
      },
    },
    async (request, reply) => {
      const { key, value, media_type: type } = request.body
      const repository = repositoryOf(request)
      const digest = digestOf(request.params.digest)
      const label = await labels.add(repository.name, digest, { key, value, mediaType: type ?? undefined })
      const path = `/api/v1/repository/${request.params.repository}/manifest/${digest}/labels/${label.id}`
      return reply
        .code(201)
        .header('location', origin(request) + path)
        .send({ label: viewOfLabel(label) })
    },
  )

  app.get(
    `${url}/labels/:label`,
    { config: reads, schema: { summary: 'A label', tags, params: labelParams, response: { 200: labelView } } },
    async request => {
      const { digest, label } = request.params
      const found = await labels.get(repositoryOf(request).name, digestOf(digest), label)
      if (found === undefined) throw notFound()
      return viewOfLabel(found)
    },
  )

  app.delete(
    `${url}/labels/:label`,
    {
      config: changes,
      schema: {
        summary: 'Take away a label that was given to a manifest',
        tags,
        params: labelParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { digest, label } = request.params
      if (!(await labels.remove(repositoryOf(request).name, digestOf(digest), label))) throw notFound()
      return reply.code(204).send(null)
    },
  )
}

function viewOfLayer(layer: LayerDescription, index: number) {
  return {
    index,
    compressed_size: layer.size,
    is_remote: layer.isRemote,
    urls: layer.urls ?? null,
    command: layer.command ?? null,
    comment: layer.comment ?? null,
    author: layer.author ?? null,
    blob_digest: layer.digest,
    created_datetime: rfc2822(layer.created ?? null),
  }
}

function viewOfLabel({ id, key, value, source, mediaType }: Label) {
  return { id, key, value, source_type: source, media_type: mediaType }
}
