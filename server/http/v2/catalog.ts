import type { FastifyInstance } from 'fastify'
import type { Visible } from '../../access/actor.ts'
import type { Guard } from '../../access/guard.ts'
import type { Catalog } from '../../registry/catalog.ts'
import type { Locate } from '../locations.ts'
import { nextLink, pageRequest } from './parameters.ts'

const nothing: Visible = { kind: 'some', may: () => false }

/** `GET /v2/_catalog`, as Docker Registry has it: the specification reserves the name only. */
export async function catalogRoutes(
  app: FastifyInstance,
  { catalog, guard, locate }: { catalog: Catalog; guard: Guard; locate: Locate },
): Promise<void> {
  const url = '/v2/_catalog'

  app.route({
    method: ['GET', 'HEAD'],
    url,
    config: { access: 'catalog' },
    handler: async (request, reply) => {
      const asked = pageRequest(request)
      const page = await catalog.list(asked, guard.visible(request.actor) ?? nothing)
      if (page.more) {
        const parameters = { n: String(page.items.length), last: page.items.at(-1) }
        reply.header('link', nextLink(locate(request, '/v2/_catalog'), parameters))
      }
      return { repositories: page.items }
    },
  })
}
