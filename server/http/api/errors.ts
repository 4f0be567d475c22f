import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { AccountError, type AccountErrorKind, accountErrors } from '../../accounts/errors.ts'
import { RegistryError } from '../../oci/errors.ts'

/** An error of the REST API, after RFC 7807 with the fields that Quay adds. */
export interface ApiErrorBody {
  detail: string
  error_message: string
  error_type: string
  title: string
  type: string
  status: number
  /** Many of Quay's refusals have nothing but this, and clients look for it. */
  message: string
  /** With `read_only`. */
  is_readonly?: true
}

/** The one error handler of the REST API. @param docs the URL of the description of a kind of errors */
export function createApiErrors(docs: (request: FastifyRequest, kind: string) => string) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { kind, message, retryAfter } = translated(error)
    const { status, title } = accountErrors[kind]
    if (status >= 500 && kind !== 'read_only') request.log.error({ id: request.id, err: error }, 'request failed')
    if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    const body: ApiErrorBody = {
      detail: message,
      error_message: message,
      error_type: kind,
      title,
      type: docs(request, kind),
      status,
      message,
      ...(kind === 'read_only' ? { is_readonly: true } : {}),
    }
    return reply.code(status).type('application/json; charset=utf-8').send(body)
  }
}

/** What Postgres says to a NUL in a text, or in JSON. */
const notText = new Set(['22021', '22P05'])

function translated(error: FastifyError): AccountError {
  if (error instanceof AccountError) return error
  if (error instanceof RegistryError) return ofRegistry(error)
  // The framework's own: a body that is no JSON, or not as the route's schema has it.
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new AccountError('invalid_request', error.message, { cause: error })
  if (notText.has(error.code))
    return new AccountError('invalid_request', 'A text must not have a NUL in it', { cause: error })
  return new AccountError('internal', 'The log of the registry tells more under the request id.', { cause: error })
}

/** What an operation of the registry refuses, where the REST API uses it. */
function ofRegistry(error: RegistryError): AccountError {
  const { cause = error, message } = error
  const retryAfter = Number(error.headers['retry-after']) || undefined
  return new AccountError(kinds[error.status] ?? 'internal', message, {
    cause,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  })
}

const kinds: Partial<Record<number, AccountErrorKind>> = {
  400: 'invalid_request',
  401: 'invalid_token',
  403: 'insufficient_scope',
  404: 'not_found',
  405: 'invalid_request',
  412: 'invalid_request',
  429: 'too_many_requests',
  503: 'unavailable',
  507: 'unavailable',
}
