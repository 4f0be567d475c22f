import type { FastifyRequest } from 'fastify'
import { RegistryError } from '../../oci/errors.ts'
import type { PageRequest } from '../../registry/pages.ts'

/** The query's values of one name, in order. */
export function queryValues({ query }: FastifyRequest, name: string): string[] {
  const value = typeof query === 'object' && query !== null ? Reflect.get(query, name) : undefined
  const values = Array.isArray(value) ? value : [value]
  return values.filter(one => typeof one === 'string')
}

/** The query's first value of that name. */
export function queryValue(request: FastifyRequest, name: string): string | undefined {
  return queryValues(request, name)[0]
}

/** A path parameter of a route that has it. */
export function pathParameter({ params }: FastifyRequest, name: string): string {
  const value = typeof params === 'object' && params !== null ? Reflect.get(params, name) : undefined
  if (typeof value !== 'string') throw new Error(`the route has no parameter ${name}`)
  return value
}

/** One header, where the client sent it once (or several times, joined). */
export function header({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** `n` and `last` of a list. @throws RegistryError UNSUPPORTED 400 */
export function pageRequest(request: FastifyRequest): PageRequest {
  const n = queryValue(request, 'n')
  const last = queryValue(request, 'last') ?? ''
  if (n !== undefined && !/^\d+$/.test(n))
    throw badQuery('n must be a whole number, zero or more', { n: n.slice(0, 100) })
  if (last.includes('\0')) throw badQuery('last must not have a NUL', {})
  // More than any list has is as good as all; the bound keeps its digits in a Link.
  return { n: n === undefined ? undefined : Math.min(Number(n), Number.MAX_SAFE_INTEGER), last }
}

export function badQuery(message: string, detail: unknown): RegistryError {
  return new RegistryError('UNSUPPORTED', { status: 400, message, detail })
}

/** The `Link` header's value for the next page of a list (RFC 8288). */
export function nextLink(url: string, parameters: Record<string, string | undefined>): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(parameters)) if (value !== undefined) query.set(key, value)
  return `<${url}?${query.toString()}>; rel="next"`
}
