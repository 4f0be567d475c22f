import type { FastifyRequest } from 'fastify'
import type { Actor } from '../access/actor.ts'
import type { Challenge } from '../access/guard.ts'
import { RegistryError } from '../oci/errors.ts'
import { isRepositoryName } from '../oci/repository-name.ts'
import type { Origin } from './locations.ts'
import { queryValue } from './v2/parameters.ts'

/** The errors for who may not do something, with what clients need to do better. */
export interface Refusals {
  /** The same for what is forbidden and for what is not there. */
  forbidden(request: FastifyRequest, actor: Actor): RegistryError
  /** For a token that was good once. */
  expired(request: FastifyRequest): RegistryError
  /** The error of credentials that are wrong, with the challenge. */
  challenged(request: FastifyRequest, error: unknown): unknown
}

/** Where the token service of this registry is. */
export const tokenPath = '/v2/auth'

type BearerError = 'invalid_token' | 'insufficient_scope'

export function createRefusals(challenge: Challenge | undefined, origin: Origin): Refusals {
  const header = (request: FastifyRequest, error?: BearerError) =>
    challenge === undefined ? undefined : describe(challenge, { request, origin, error })

  function unauthorized(request: FastifyRequest, error?: BearerError): RegistryError {
    const value = header(request, error)
    return new RegistryError('UNAUTHORIZED', { headers: value === undefined ? {} : { 'www-authenticate': value } })
  }

  return {
    forbidden(request, actor) {
      if (challenge === undefined) return new RegistryError('DENIED')
      if (actor.kind === 'anonymous') return unauthorized(request)
      // Its bearer can get a better one.
      if (actor.kind === 'granted') return unauthorized(request, 'insufficient_scope')
      return new RegistryError('DENIED')
    },

    expired: request => unauthorized(request, 'invalid_token'),

    challenged(request, error) {
      if (!(error instanceof RegistryError) || error.code !== 'UNAUTHORIZED') return error
      const bearer = /^bearer /i.test(request.headers.authorization ?? '')
      const value = header(request, bearer ? 'invalid_token' : undefined)
      if (value === undefined) return error
      const { message, detail, cause, headers } = error
      return new RegistryError('UNAUTHORIZED', {
        message,
        detail,
        cause,
        headers: { ...headers, 'www-authenticate': value },
      })
    },
  }
}

interface Situation {
  request: FastifyRequest
  origin: Origin
  error: BearerError | undefined
}

function describe(challenge: Challenge, { request, origin, error }: Situation): string {
  if (challenge.scheme === 'Basic') return `Basic realm=${quoted(challenge.realm)}`
  const realm = realmOf(challenge, request, origin)
  const scope = scopesOf(request).join(' ')
  const parameters = [
    ['realm', realm],
    ['service', challenge.service],
    ['scope', scope],
    ['error', error],
  ]
  const given = parameters.filter(([, value]) => value !== undefined && value !== '')
  return `Bearer ${given.map(([name, value]) => `${name}=${quoted(value ?? '')}`).join(',')}`
}

/** The URL of the token service, as this client reaches it. */
function realmOf(challenge: BearerChallenge, request: FastifyRequest, origin: Origin): string {
  const { realm, redirectPath } = challenge
  if (redirectPath === undefined) return realm ?? origin(request) + tokenPath
  const host = origin.ofHost(request)
  return host === undefined ? (realm ?? redirectPath) : host + redirectPath
}

type BearerChallenge = Extract<Challenge, { scheme: 'Bearer' }>

const actionsOf = {
  pull: 'pull',
  push: 'pull,push',
  upload: 'pull,push',
  cancel: 'pull,push',
  delete: 'delete',
}

/** What a token for this request has to be good for. */
function scopesOf(request: FastifyRequest): string[] {
  const access = request.routeOptions.config.access
  if (access === undefined || access === 'public' || access === 'known') return []
  if (access === 'catalog') return ['registry:catalog:*']
  const { params } = request
  const name: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, 'name') : undefined
  if (typeof name !== 'string' || !isRepositoryName(name)) return []
  const from = access === 'push' ? queryValue(request, 'from') : undefined
  const source = from !== undefined && isRepositoryName(from) && from !== name ? [`repository:${from}:pull`] : []
  return [`repository:${name}:${actionsOf[access]}`, ...source]
}

function quoted(text: string): string {
  return `"${text.replaceAll(/[\\"]/g, '\\$&')}"`
}
