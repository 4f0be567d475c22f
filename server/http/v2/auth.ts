import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseAuthorization } from '../../access/basic.ts'
import { parseTokenScopes } from '../../access/token-scopes.ts'
import type { GivenToken, GiveWish, TokenService } from '../../access/token-service.ts'
import { RegistryError } from '../../oci/errors.ts'
import { readBody } from '../bodies.ts'
import type { Origin } from '../locations.ts'
import { tokenPath } from '../refusals.ts'
import { queryValue, queryValues } from './parameters.ts'

/** A form has some scopes and a token. */
const formLimit = 64 * 1024

export interface AuthRouteOptions {
  tokens: TokenService
  origin: Origin
}

/**
 * Where clients get Bearer tokens: by GET (distribution's token specification) and by POST (its OAuth 2.0 form).
 */
export async function authRoutes(app: FastifyInstance, { tokens, origin }: AuthRouteOptions): Promise<void> {
  const config = { access: 'public' } as const

  /** @throws RegistryError as the service does; for wrong credentials with the challenge that RFC 9110 wants with a 401 */
  async function give(wish: GiveWish): Promise<GivenToken> {
    try {
      return await tokens.give(wish)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'UNAUTHORIZED') throw error
      const { message, detail, cause, headers } = error
      const challenge = { 'www-authenticate': `Basic realm="${tokens.service}"` }
      throw new RegistryError('UNAUTHORIZED', { message, detail, cause, headers: { ...headers, ...challenge } })
    }
  }

  /** By which names a client may call this registry before a repository's. */
  function hostsOf(request: FastifyRequest): string[] {
    const known = /^https?:\/\/([^/]+)/.exec(origin(request))?.[1]
    return [request.headers.host, known].filter(host => host !== undefined)
  }

  app.get(tokenPath, { config }, async (request, reply) => {
    checkService(tokens, queryValue(request, 'service'))
    const given = await give({
      by: credentialsOf(request),
      scopes: parseTokenScopes(queryValues(request, 'scope'), hostsOf(request)),
      offline: queryValue(request, 'offline_token') === 'true',
      clientId: queryValue(request, 'client_id'),
      address: request.ip,
    })
    return send(reply, given)
  })

  app.post(tokenPath, { config }, async (request, reply) => {
    const body = await readBody(request, formLimit, () => refusal('the form is too long'))
    const form = new URLSearchParams(Buffer.from(body).toString('utf8'))
    checkService(tokens, form.get('service') ?? undefined)
    const given = await give({
      by: grantOf(form),
      scopes: parseTokenScopes(form.getAll('scope'), hostsOf(request)),
      offline: form.get('access_type') === 'offline',
      clientId: form.get('client_id') ?? undefined,
      address: request.ip,
    })
    return send(reply, given)
  })
}

function credentialsOf({ headers }: FastifyRequest): GiveWish['by'] {
  const authorization = parseAuthorization(headers.authorization)
  if (authorization.scheme === 'none') return { kind: 'nothing' }
  if (authorization.scheme !== 'basic')
    throw new RegistryError('UNAUTHORIZED', { message: 'tokens are given for Basic credentials' })
  const { name, secret } = authorization
  return { kind: 'password', credentials: { name, secret } }
}

/** RFC 6749, sections 4.3 and 6. */
function grantOf(form: URLSearchParams): GiveWish['by'] {
  const kind = form.get('grant_type')
  if (kind === 'refresh_token') return { kind: 'refresh', token: form.get('refresh_token') ?? '' }
  if (kind !== 'password') throw refusal('grant_type must be password or refresh_token')
  const credentials = { name: form.get('username') ?? '', secret: form.get('password') ?? '' }
  return { kind: 'password', credentials }
}

/** @throws RegistryError UNSUPPORTED 400 when the client wants a token for someone else */
function checkService(tokens: TokenService, service: string | undefined): void {
  if (service !== undefined && service !== tokens.service)
    throw refusal(
      `this is the token service of ${JSON.stringify(tokens.service)}, and gives no tokens for other services`,
    )
}

function refusal(message: string): RegistryError {
  return new RegistryError('UNSUPPORTED', { status: 400, message })
}

function send(reply: FastifyReply, { token, issuedAt, expiresIn, refreshToken, scope }: GivenToken): FastifyReply {
  return reply.header('cache-control', 'no-store').send({
    token,
    access_token: token,
    token_type: 'Bearer',
    expires_in: expiresIn,
    issued_at: issuedAt.toISOString(),
    ...(scope === '' ? {} : { scope }),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  })
}
