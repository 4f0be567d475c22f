import { Type } from 'typebox'
import type { Application, ApplicationFields, OAuthToken } from '../../accounts/applications.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { avatar, avatarOf } from './views.ts'

const text = Type.Union([Type.String(), Type.Null()])

const applicationView = Type.Object({
  name: Type.String(),
  description: Type.String(),
  application_uri: Type.String(),
  client_id: Type.String(),
  client_secret: text,
  redirect_uri: text,
  avatar_email: text,
})

const tokenView = Type.Object({
  uuid: Type.String(),
  name: text,
  scope: Type.String(),
  expires_at: text,
  created: text,
  created_by: text,
  last_accessed: text,
})

const fields = {
  redirect_uri: Type.Optional(Type.String()),
  application_uri: Type.Optional(Type.String()),
  description: Type.Optional(Type.String()),
  avatar_email: Type.Optional(text),
}
const newApplication = Type.Object({ name: Type.String(), ...fields })
const changedApplication = Type.Object({
  ...fields,
  name: Type.String(),
  redirect_uri: Type.String(),
  application_uri: Type.String(),
})

const organization = Type.Object({ organization: Type.String() })
const application = Type.Object({ organization: Type.String(), clientId: Type.String() })
const token = Type.Object({ organization: Type.String(), clientId: Type.String(), token: Type.String() })

const admin = { for: 'organization', role: 'admin' } as const
const tags = ['organization', 'application']
const base = '/api/v1/organization/:organization/applications'
/** Tokens on a page. */
const pageSize = 50

/** OAuth applications of organizations and their tokens, and what everyone may know of an application. */
export function applicationRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  const { applications } = accounts

  app.get(
    base,
    {
      config: { api: admin },
      schema: {
        summary: 'The OAuth applications of an organization',
        tags,
        params: organization,
        response: { 200: Type.Object({ applications: Type.Array(applicationView) }) },
      },
    },
    async request => {
      const found = await applications.list(request.params.organization)
      const secrets = accountOf(request).power !== 'reader'
      return { applications: found.map(one => viewOf(one, { secrets })) }
    },
  )

  app.post(
    base,
    {
      config: { api: admin },
      schema: {
        summary: 'Create an OAuth application',
        tags,
        params: organization,
        body: newApplication,
        response: { 200: applicationView },
      },
    },
    async ({ params, body }) =>
      viewOf(await applications.create(params.organization, fieldsOf(body)), { secrets: true }),
  )

  app.get(
    `${base}/:clientId`,
    {
      config: { api: admin },
      schema: { summary: 'An OAuth application', tags, params: application, response: { 200: applicationView } },
    },
    async request => {
      const { organization, clientId } = request.params
      const secrets = accountOf(request).power !== 'reader'
      return viewOf(await applications.get(organization, clientId), { secrets })
    },
  )

  app.put(
    `${base}/:clientId`,
    {
      config: { api: admin },
      schema: {
        summary: 'Change an OAuth application',
        tags,
        params: application,
        body: changedApplication,
        response: { 200: applicationView },
      },
    },
    async ({ params: { organization, clientId }, body }) =>
      viewOf(await applications.change(organization, clientId, fieldsOf(body)), { secrets: true }),
  )

  app.delete(
    `${base}/:clientId`,
    {
      config: { api: admin },
      schema: {
        summary: 'Delete an OAuth application, with all its tokens',
        tags,
        params: application,
        response: { 204: Type.Null() },
      },
    },
    async ({ params: { organization, clientId } }, reply) => {
      await applications.remove(organization, clientId)
      return reply.code(204).send(null)
    },
  )

  app.post(
    `${base}/:clientId/resetclientsecret`,
    {
      config: { api: admin },
      schema: {
        summary: 'Give an OAuth application another secret',
        tags,
        params: application,
        response: { 200: applicationView },
      },
    },
    async ({ params: { organization, clientId } }) =>
      viewOf(await applications.resetSecret(organization, clientId), { secrets: true }),
  )

  app.get(
    `${base}/:clientId/tokens`,
    {
      config: { api: admin },
      schema: {
        summary: 'The tokens of an OAuth application that are good, the newest first',
        tags,
        params: application,
        querystring: Type.Object({ next_page: Type.Optional(Type.String()) }),
        response: { 200: Type.Object({ tokens: Type.Array(tokenView), next_page: Type.Optional(Type.String()) }) },
      },
    },
    async ({ params, query }) => {
      const found = await applications.listTokens(params, { after: query.next_page, limit: pageSize + 1 })
      const last = found.length > pageSize ? found[pageSize - 1] : undefined
      const tokens = found.slice(0, pageSize).map(tokenViewOf)
      return { tokens, ...(last === undefined ? {} : { next_page: last.id }) }
    },
  )

  app.post(
    `${base}/:clientId/tokens`,
    {
      config: { api: admin },
      schema: {
        summary: 'Create a token that acts as you, within the scopes given; it is shown once',
        tags,
        params: application,
        body: Type.Object({
          name: Type.String(),
          scope: Type.String(),
          expiration: Type.Optional(Type.Number()),
        }),
        response: { 200: Type.Object({ ...tokenView.properties, token: Type.String() }) },
      },
    },
    async request => {
      const { name, scope, expiration: lifetime } = request.body
      const made = await applications.createToken(request.params, { name, scope, lifetime }, accountOf(request))
      return { ...tokenViewOf(made), token: made.secret }
    },
  )

  app.delete(
    `${base}/:clientId/tokens/:token`,
    {
      config: { api: admin },
      schema: { summary: 'Revoke a token', tags, params: token, response: { 204: Type.Null() } },
    },
    async ({ params }, reply) => {
      await applications.removeToken(params, params.token)
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/api/v1/app/:clientId',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'What everyone may know of an OAuth application',
        tags: ['application'],
        security: [],
        params: Type.Object({ clientId: Type.String() }),
        response: {
          200: Type.Object({
            name: Type.String(),
            description: Type.String(),
            uri: Type.String(),
            avatar,
            organization: Type.Object({ name: Type.String(), avatar }),
          }),
        },
      },
    },
    async request => {
      const found = await applications.find(request.params.clientId)
      return {
        name: found.name,
        description: found.description,
        uri: found.application_uri,
        avatar: avatarOf(found.name, 'app', found.avatar_email),
        organization: {
          name: found.namespace,
          avatar: avatarOf(found.namespace, found.namespace_kind === 'user' ? 'user' : 'org'),
        },
      }
    },
  )
}

/** @param secrets whether they are for whom it is shown to */
function viewOf(found: Application, { secrets }: { secrets: boolean }) {
  return {
    name: found.name,
    description: found.description,
    application_uri: found.application_uri,
    client_id: found.client_id,
    client_secret: secrets ? found.clientSecret : null,
    redirect_uri: secrets ? found.redirect_uri : null,
    avatar_email: secrets ? found.avatar_email : null,
  }
}

interface FieldsBody {
  name: string
  redirect_uri?: string
  application_uri?: string
  description?: string
  avatar_email?: string | null
}

function fieldsOf(body: FieldsBody): ApplicationFields {
  return {
    name: body.name,
    redirectUri: body.redirect_uri ?? '',
    applicationUri: body.application_uri ?? '',
    description: body.description ?? '',
    avatarEmail: body.avatar_email ?? null,
  }
}

function tokenViewOf(found: OAuthToken) {
  return {
    uuid: found.id,
    // Those that came by a user's consent have none.
    name: found.name === '' ? null : found.name,
    scope: found.scopes.join(' '),
    expires_at: found.expires_at.toISOString(),
    created: found.created_at.toISOString(),
    created_by: found.account,
    last_accessed: found.last_accessed_at?.toISOString() ?? null,
  }
}
