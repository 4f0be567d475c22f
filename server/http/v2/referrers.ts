import type { FastifyInstance } from 'fastify'
import { parseDigest } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import { parseRepositoryName } from '../../oci/repository-name.ts'
import type { Referrers } from '../../registry/referrers.ts'
import type { Locate } from '../locations.ts'
import { badQuery, nextLink, pageRequest, pathParameter, queryValue } from './parameters.ts'

/** `GET /v2/<name>/referrers/<digest>` (distribution spec, "Listing Referrers"). */
export async function referrerRoutes(
  app: FastifyInstance,
  { referrers, locate }: { referrers: Referrers; locate: Locate },
): Promise<void> {
  const url = '/v2/:name/referrers/:digest'

  app.route({
    method: ['GET', 'HEAD'],
    url,
    config: { access: 'pull' },
    handler: async (request, reply) => {
      const name = parseRepositoryName(pathParameter(request, 'name'))
      const digest = parseDigest(pathParameter(request, 'digest'))
      // An empty filter filters nothing.
      const artifactType = queryValue(request, 'artifactType') || undefined
      if (artifactType?.includes('\0')) throw badQuery('artifactType must not have a NUL', {})
      const { n, last } = pageRequest(request)
      const page = await referrers.list(name, digest, { n, last, artifactType })
      if (artifactType !== undefined) reply.header('oci-filters-applied', 'artifactType')
      if (page.more) {
        const parameters = { n: n?.toString(), last: page.items.at(-1)?.digest, artifactType }
        reply.header('link', nextLink(locate(request, `/v2/${name}/referrers/${digest}`), parameters))
      }
      // Written here: the framework would add a charset to the type.
      const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: page.items }
      return reply.type(mediaTypes.ociIndex).send(Buffer.from(JSON.stringify(index)))
    },
  })
}
