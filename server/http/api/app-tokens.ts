import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { AppToken } from '../../accounts/app-tokens.ts'
import { AccountError } from '../../accounts/errors.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { rfc2822 } from './views.ts'

const tokenView = Type.Object({
  uuid: Type.String(),
  title: Type.String(),
  last_accessed: Type.Union([Type.String(), Type.Null()]),
  created: Type.Union([Type.String(), Type.Null()]),
  expiration: Type.Union([Type.String(), Type.Null()]),
})
const tokenWithCode = Type.Object({
  token: Type.Object({ ...tokenView.properties, token_code: Type.String() }),
})
const params = Type.Object({ token: Type.String() })

const access = { for: 'user', scope: 'user:admin' } as const
const tags = ['appspecifictokens']

/** Application-specific tokens: a user's own, in the password's place. */
export function appTokenRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  const { appTokens } = accounts

  app.get(
    '/api/v1/user/apptoken',
    {
      config: { api: access },
      schema: {
        summary: 'Your application-specific tokens',
        tags,
        querystring: Type.Object({ expiring: Type.Optional(Type.Boolean()) }),
        response: { 200: Type.Object({ tokens: Type.Array(tokenView), only_expiring: Type.Boolean() }) },
      },
    },
    async request => {
      const { expiring = false } = request.query
      const found = await appTokens.list(accountOf(request).id, { expiring })
      return { tokens: found.map(viewOf), only_expiring: expiring }
    },
  )

  app.post(
    '/api/v1/user/apptoken',
    {
      config: { api: { ...access, fresh: true } },
      schema: {
        summary: 'Create an application-specific token',
        tags,
        body: Type.Object({ title: Type.String() }),
        response: { 200: tokenWithCode },
      },
    },
    async request => withCode(await appTokens.create(accountOf(request).id, request.body.title)),
  )

  app.get(
    '/api/v1/user/apptoken/:token',
    {
      config: { api: { ...access, fresh: true } },
      schema: {
        summary: 'An application-specific token, with what to log in by',
        tags,
        params,
        response: { 200: tokenWithCode },
      },
    },
    async request => {
      requireFresh(request)
      return withCode(await appTokens.get(accountOf(request).id, request.params.token))
    },
  )

  app.delete(
    '/api/v1/user/apptoken/:token',
    {
      config: { api: { ...access, fresh: true } },
      schema: {
        summary: 'Revoke an application-specific token',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await appTokens.remove(accountOf(request).id, request.params.token)
      return reply.code(204).send(null)
    },
  )
}

/** What is read here is a secret: unlike other reading it wants the password to have been entered lately. */
function requireFresh({ session }: FastifyRequest): void {
  if (session?.fresh === false)
    throw new AccountError('fresh_login_required', 'The password has to be entered again: POST /api/v1/signin/verify')
}

function viewOf(found: AppToken) {
  return {
    uuid: found.id,
    title: found.title,
    last_accessed: rfc2822(found.last_accessed_at),
    created: rfc2822(found.created_at),
    expiration: rfc2822(found.expires_at),
  }
}

function withCode(found: AppToken & { code: string }) {
  return { token: { ...viewOf(found), token_code: found.code } }
}
