import type { FastifyInstance } from 'fastify'
import { parseRepositoryName } from '../../oci/repository-name.ts'
import type { Tags } from '../../registry/tags.ts'
import type { Locate } from '../locations.ts'
import { nextLink, pageRequest, pathParameter } from './parameters.ts'

/** `GET /v2/<name>/tags/list` (distribution spec, "Listing Tags"). */
export async function tagRoutes(app: FastifyInstance, { tags, locate }: { tags: Tags; locate: Locate }): Promise<void> {
  const url = '/v2/:name/tags/list'

  app.route({
    method: ['GET', 'HEAD'],
    url,
    config: { access: 'pull' },
    handler: async (request, reply) => {
      const name = parseRepositoryName(pathParameter(request, 'name'))
      const asked = pageRequest(request)
      const page = await tags.list(name, asked)
      if (page.more) {
        const parameters = { n: String(asked.n ?? page.items.length), last: page.items.at(-1) }
        reply.header('link', nextLink(locate(request, `/v2/${name}/tags/list`), parameters))
      }
      return { name, tags: page.items }
    },
  })
}
