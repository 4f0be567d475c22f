import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { parseAuthorization } from '../../access/basic.ts'
import { invalid } from '../../accounts/errors.ts'
import type { Consent, ConsentWish } from '../../accounts/oauth.ts'
import { checkCsrf, type Session } from '../../accounts/sessions.ts'
import { unauthenticated } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { sendConsentPage, sendMessagePage, sendTokenPage } from './oauth-pages.ts'
import { scopeView, scopeViews } from './scope-views.ts'
import { avatar, avatarOf } from './views.ts'

const optional = Type.Optional(Type.String())
const asked = {
  client_id: Type.String(),
  redirect_uri: Type.String(),
  scope: Type.String(),
  response_type: optional,
  state: optional,
}
const answered = Type.Object({ ...asked, _csrf_token: optional })

const consentView = Type.Object({
  scopes: Type.Array(scopeView),
  has_dangerous_scopes: Type.Boolean(),
  application: Type.Object({
    name: Type.String(),
    description: Type.String(),
    url: Type.String(),
    avatar,
    organization: Type.Object({ name: Type.String(), avatar }),
  }),
  response_type: Type.String(),
  client_id: Type.String(),
  redirect_uri: Type.String(),
  scope: Type.String(),
  csrf_token_val: Type.String(),
  state: Type.Union([Type.String(), Type.Null()]),
})

// Forms and pages of browsers have no header for a CSRF token: these routes look at the session and the token themselves.
const byBrowser = { api: { for: 'anyone' } } as const
const security = [{ session: [] }]
const tags = ['oauth']
const page = Type.String({ description: 'A page of HTML' })
const redirect = Type.Null({ description: 'To the address of the application' })
const ownPagePath = '/oauth/localapp'

/** Berth as a provider of OAuth 2.0 for the applications of organizations (RFC 6749). */
export async function oauthRoutes(app: ApiInstance, { accounts, origin }: RouteOptions): Promise<void> {
  const { oauth } = accounts

  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, text, done) =>
    done(null, Object.fromEntries(new URLSearchParams(String(text)))),
  )

  const wishOf = (request: FastifyRequest, from: Asked): ConsentWish => ({
    clientId: from.client_id,
    redirectUri: from.redirect_uri,
    responseType: from.response_type ?? 'code',
    scope: from.scope,
    ownPage: origin(request) + ownPagePath,
  })

  app.get(
    '/oauth/authorize',
    {
      config: byBrowser,
      schema: {
        summary: 'Ask whether an application may act in your name',
        tags,
        security,
        querystring: Type.Object({ ...asked, format: optional }),
        response: { 200: Type.Union([consentView, page]) },
      },
    },
    async (request, reply) => {
      const { account, csrfToken } = sessionOf(request)
      const { query } = request
      const consent = await oauth.ask(wishOf(request, query), account)
      if (query.format?.toLowerCase() === 'json') {
        return reply.header('cache-control', 'no-store').send(viewOf(consent, { ...query, csrfToken }))
      }
      const at = origin(request)
      const { scope, state } = query
      const places = { approve: `${at}/oauth/authorizeapp`, deny: `${at}/oauth/denyapp` }
      return sendConsentPage(reply, { consent, scope, state, csrfToken, ...places })
    },
  )

  app.post(
    '/oauth/authorizeapp',
    {
      config: byBrowser,
      schema: {
        summary: 'Let an application act in your name',
        tags,
        security,
        body: answered,
        response: { 302: redirect },
      },
    },
    async (request, reply) => {
      const { body } = request
      const session = checkedSession(request, body._csrf_token)
      const wish = wishOf(request, body)
      const given = await oauth.consent(wish, session.account)
      const { scope, state } = body
      const url = new URL(wish.redirectUri)
      if (given.kind === 'code') return goTo(reply, url, { scope, state, code: given.code })
      const token = { access_token: given.token, token_type: 'Bearer', expires_in: String(given.expiresIn) }
      // Quay has the state before the `#`, RFC 6749 section 4.2.2 behind it.
      url.hash = new URLSearchParams({ ...token, ...(state === undefined ? {} : { state }) }).toString()
      return goTo(reply, url, { scope, state })
    },
  )

  app.post(
    '/oauth/denyapp',
    {
      config: byBrowser,
      schema: {
        summary: 'Do not let an application act in your name',
        tags,
        security,
        body: answered,
        response: { 302: redirect },
      },
    },
    async (request, reply) => {
      const { body } = request
      const session = checkedSession(request, body._csrf_token)
      const { redirectUri } = await oauth.ask(wishOf(request, body), session.account)
      return goTo(reply, new URL(redirectUri), { error: 'authorization_denied', state: body.state })
    },
  )

  app.get(
    ownPagePath,
    {
      config: byBrowser,
      schema: {
        summary: 'Show the token that you have given to yourself',
        tags,
        security,
        querystring: Type.Object({ scope: optional, format: optional, access_token: optional }),
        response: { 200: Type.Union([Type.Object({ access_token: Type.Union([Type.String(), Type.Null()]) }), page]) },
      },
    },
    async (request, reply) => {
      sessionOf(request)
      const { scope, format, access_token: token = null } = request.query
      if (scope === undefined || scope === '') return sendMessagePage(reply, 'Authorization canceled')
      if (format?.toLowerCase() !== 'json') return sendTokenPage(reply)
      return reply.header('cache-control', 'no-store').send({ access_token: token })
    },
  )

  app.post(
    '/oauth/access_token',
    {
      config: { api: { for: 'client' } },
      schema: {
        summary: 'Get a token for the code of a consent',
        tags,
        security: [],
        body: Type.Object({
          grant_type: Type.String(),
          code: Type.String(),
          redirect_uri: Type.String(),
          client_id: optional,
          client_secret: optional,
          scope: optional,
        }),
        response: {
          200: Type.Object({
            access_token: Type.String(),
            token_type: Type.String(),
            expires_in: Type.Integer(),
            refresh_token: Type.Null(),
          }),
          400: Type.Object({ error: Type.String() }),
        },
      },
    },
    async (request, reply) => {
      const { grant_type: grantType, code, redirect_uri: redirectUri, client_id, client_secret } = request.body
      reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' })
      if (grantType !== 'authorization_code') return reply.code(400).send({ error: 'unsupported_grant_type' })
      const shown = parseAuthorization(request.headers.authorization)
      const basic = shown.scheme === 'basic' ? shown : { name: undefined, secret: undefined }
      const clientId = basic.name ?? client_id ?? ''
      const clientSecret = basic.secret ?? client_secret ?? ''
      const given = await oauth.redeem({ clientId, clientSecret, code, redirectUri })
      if (typeof given === 'string') return reply.code(400).send({ error: given })
      return {
        access_token: given.token,
        token_type: 'Bearer',
        expires_in: given.expiresIn,
        // A field that Quay has, of which it makes no use.
        refresh_token: null,
      }
    },
  )
}

interface Asked {
  client_id: string
  redirect_uri: string
  scope: string
  response_type?: string
  state?: string
}

/** @throws AccountError invalid_token for who has none: tokens of other applications can not consent to more of them */
function sessionOf({ session }: FastifyRequest): Session {
  if (session === undefined) throw unauthenticated()
  return session
}

/** @throws AccountError also when the form does not come from a page of this session */
function checkedSession(request: FastifyRequest, token: string | undefined): Session {
  const session = sessionOf(request)
  const header = request.headers['x-csrf-token']
  checkCsrf(session, token ?? (typeof header === 'string' ? header : undefined))
  return session
}

function goTo(reply: FastifyReply, url: URL, parameters: Record<string, string | undefined>): FastifyReply {
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
  if (url.href.length > 8000) throw invalid('state is too long')
  return reply.header('cache-control', 'no-store').redirect(url.href, 302)
}

function viewOf(
  { application, scopes, responseType, redirectUri }: Consent,
  { scope, state, csrfToken }: { scope: string; state?: string; csrfToken: string },
) {
  const { name, description, application_uri: url, avatar_email, namespace, client_id } = application
  const views = scopeViews(scopes)
  return {
    scopes: views,
    has_dangerous_scopes: views.some(({ dangerous }) => dangerous),
    application: {
      name,
      description,
      url,
      avatar: avatarOf(name, 'app', avatar_email),
      organization: { name: namespace, avatar: avatarOf(namespace, 'org') },
    },
    response_type: responseType,
    client_id,
    redirect_uri: redirectUri,
    scope,
    csrf_token_val: csrfToken,
    state: state ?? null,
  }
}
