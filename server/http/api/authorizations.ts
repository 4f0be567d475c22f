import { Type } from 'typebox'
import type { Authorization } from '../../accounts/oauth.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { scopeView, scopeViews } from './scope-views.ts'
import { avatar, avatarOf } from './views.ts'

const authorizationView = Type.Object({
  uuid: Type.String(),
  application: Type.Object({
    name: Type.String(),
    clientId: Type.String(),
    description: Type.String(),
    url: Type.String(),
    avatar,
    organization: Type.Object({ name: Type.String(), avatar }),
  }),
  scopes: Type.Array(scopeView),
})
const params = Type.Object({ authorization: Type.String() })

const access = { for: 'user', scope: 'user:admin' } as const
const tags = ['user']

/** The applications that hold a token which acts as the user. */
export function authorizationRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  const { oauth } = accounts

  app.get(
    '/api/v1/user/authorizations',
    {
      config: { api: access },
      schema: {
        summary: 'What applications may do in your name',
        tags,
        response: { 200: Type.Object({ authorizations: Type.Array(authorizationView) }) },
      },
    },
    async request => ({ authorizations: (await oauth.authorizations(accountOf(request))).map(viewOf) }),
  )

  app.get(
    '/api/v1/user/authorizations/:authorization',
    {
      config: { api: access },
      schema: {
        summary: 'What an application may do in your name',
        tags,
        params,
        response: { 200: authorizationView },
      },
    },
    async request => viewOf(await oauth.authorization(accountOf(request), request.params.authorization)),
  )

  app.delete(
    '/api/v1/user/authorizations/:authorization',
    {
      config: { api: access },
      schema: {
        summary: 'Take a token away from an application',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await oauth.revoke(accountOf(request), request.params.authorization)
      return reply.code(204).send(null)
    },
  )
}

function viewOf(found: Authorization) {
  return {
    uuid: found.id,
    application: {
      name: found.application_name,
      clientId: found.client_id,
      description: found.description,
      url: found.application_uri,
      avatar: avatarOf(found.application_name, 'app', found.avatar_email),
      organization: { name: found.organization, avatar: avatarOf(found.organization, 'org') },
    },
    scopes: scopeViews(found.scopes),
  }
}
