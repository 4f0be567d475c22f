import { Type } from 'typebox'
import { splitRepositoryName } from '../../accounts/repositories.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { byName, nextAfter, nextPage, pageOf } from './pages.ts'
import { repositoryParams } from './repository-views.ts'

const starred = Type.Object({
  namespace: Type.String(),
  name: Type.String(),
  description: Type.String(),
  is_public: Type.Boolean(),
})

/** The repositories that a user has marked. */
export function starRoutes(app: ApiInstance, { accounts: { repositories, stars } }: RouteOptions): void {
  const url = '/api/v1/user/starred'
  const config = { api: { for: 'user', scope: 'user:admin' } } as const
  const tags = ['user']

  app.get(
    url,
    {
      config,
      schema: {
        summary: 'The repositories that one has starred; 100 in a page',
        tags,
        querystring: Type.Object({ next_page: Type.Optional(Type.String()) }),
        response: { 200: Type.Object({ repositories: Type.Array(starred), next_page: nextPage }) },
      },
    },
    async request => {
      const { after } = pageOf(request.query, byName)
      const list = { kind: { of: 'starred' }, after, lastModified: false } as const
      const { rows, next } = await repositories.list(list, accountOf(request))
      return {
        repositories: rows.map(({ name, description, visibility }) => ({
          ...splitRepositoryName(name),
          description,
          is_public: visibility === 'public',
        })),
        ...nextAfter(next),
      }
    },
  )

  app.post(
    url,
    {
      config,
      schema: {
        summary: 'Star a repository',
        tags,
        body: Type.Object({ namespace: Type.String(), repository: Type.String() }),
        response: { 201: Type.Object({ namespace: Type.String(), repository: Type.String() }) },
      },
    },
    async (request, reply) => {
      const { namespace, repository } = request.body
      await stars.add(`${namespace}/${repository}`, accountOf(request))
      return reply.code(201).send({ namespace, repository })
    },
  )

  app.delete(
    `${url}/:repository`,
    {
      config,
      schema: {
        summary: 'Take the star off a repository',
        tags,
        params: repositoryParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await stars.remove(request.params.repository, accountOf(request))
      return reply.code(204).send(null)
    },
  )
}
