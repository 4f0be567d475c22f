import type { FastifyRequest } from 'fastify'
import parseForwarded from 'forwarded-parse'

/** How URLs in `Location` and `Link` begin (`http.host`, `http.prefix`, `http.relativeurls` of the configuration). */
export interface LocationOptions {
  /** Wins over whatever the request says: `https://registry.example.com`. */
  host: string | undefined
  /** With a slash at both ends. */
  prefix: string
  relative: boolean
}

/** Makes a URL of a path such as `/v2/name/blobs/digest`. */
export type Locate = (request: FastifyRequest, path: string) => string

/** How the registry's URLs begin, whatever is said of relative ones. */
export interface Origin {
  /** With scheme and prefix, and without a slash at the end. */
  (request: FastifyRequest): string
  /**
   * For what stands beside the registry, at the same proxy: scheme and host alone. It is https unless a proxy or `http.host`
   * says otherwise, whatever the registry itself speaks. Undefined when the client did not name its host.
   */
  ofHost(this: void, request: FastifyRequest): string | undefined
}

export function createOrigin({ host, prefix }: LocationOptions): Origin {
  const locate = createLocate({ host, prefix, relative: false })
  return Object.assign((request: FastifyRequest) => locate(request, ''), {
    ofHost: (request: FastifyRequest) => (host === undefined ? originOf(request, 'https') : new URL(host).origin),
  })
}

export function createLocate({ host, prefix, relative }: LocationOptions): Locate {
  const base = prefix.replace(/\/$/, '')
  if (relative) return (_request, path) => base + path
  if (host !== undefined) return (_request, path) => host.replace(/\/$/, '') + base + path
  return (request, path) => {
    const origin = originOf(request)
    // An HTTP/1.0 client need not say how it calls us.
    return origin === undefined ? base + path : origin + base + path
  }
}

/** A host name or address, with a port or without: what may be repeated to a client that has sent it. */
const hostPattern = /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i

/**
 * Scheme and host as the client knows them: by the proxies' word (RFC 7239, then `X-Forwarded-*`), else the request's.
 * Undefined when there is none, or one that no URL can be made of.
 * @param scheme what it is when no proxy says it
 */
function originOf(request: FastifyRequest, scheme: string = request.protocol): string | undefined {
  const forwarded = firstForwarded(request.headers.forwarded)
  const proto = forwarded?.['proto'] ?? first(request.headers['x-forwarded-proto']) ?? scheme
  const host =
    forwarded?.['host'] ??
    first(request.headers['x-forwarded-host']) ??
    first(request.headers[':authority']) ??
    request.headers.host
  if (host === undefined || !/^https?$/i.test(proto) || !hostPattern.test(host)) return undefined
  return `${proto.toLowerCase()}://${host}`
}

function firstForwarded(header: string | undefined): Record<string, string> | undefined {
  if (header === undefined) return undefined
  try {
    return parseForwarded(header)[0]
  } catch {
    // A header that can't be read says nothing.
    return undefined
  }
}

function first(header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header
  return value?.split(',', 1)[0]?.trim() || undefined
}
