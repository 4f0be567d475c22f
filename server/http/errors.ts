import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError, RegistryErrors } from '../oci/errors.ts'

/** The protocol's envelope (distribution spec, "Error Codes"). */
export interface ErrorEnvelope {
  errors: { code: string; message: string; detail?: unknown }[]
}

export function envelope(errors: readonly RegistryError[]): ErrorEnvelope {
  return {
    errors: errors.map(({ code, message, detail }) => ({ code, message, ...(detail === undefined ? {} : { detail }) })),
  }
}

/** Headers that were meant for the answer that there would have been: no cache may keep a refusal in its place. */
const ofTheAnswer = [
  'docker-content-digest',
  'etag',
  'cache-control',
  'accept-ranges',
  'content-range',
  'content-length',
]

/** The one error handler of the registry's API: whatever was thrown becomes the envelope. */
export function sendError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const errors = error instanceof RegistryErrors ? error.errors : [toRegistryError(error)]
  const status = errors[0]?.status ?? 500
  if (status >= 500) request.log.error({ id: request.id, err: error }, 'request failed')
  for (const name of ofTheAnswer) reply.removeHeader(name)
  for (const { headers } of errors) reply.headers(headers)
  return reply.code(status).type('application/json; charset=utf-8').send(envelope(errors))
}

function toRegistryError(error: Error & { statusCode?: number }): RegistryError {
  if (error instanceof RegistryError) return error
  // Fastify's own refusals: a bad URL, a content type that is none.
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new RegistryError('UNSUPPORTED', { status: error.statusCode, message: error.message, cause: error })
  return new RegistryError('UNKNOWN', { cause: error })
}
