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

/** Scheme and host as the client knows them: by the proxies' word (RFC 7239, then `X-Forwarded-*`), else the request's. */
function originOf(request: FastifyRequest): string | undefined {
  const forwarded = firstForwarded(request.headers.forwarded)
  const proto = forwarded?.['proto'] ?? first(request.headers['x-forwarded-proto']) ?? request.protocol
  const host =
    forwarded?.['host'] ??
    first(request.headers['x-forwarded-host']) ??
    request.headers[':authority'] ??
    request.headers.host
  if (host === undefined || !/^https?$/i.test(proto) || !/^[\w.:[\]-]+$/.test(String(host))) return undefined
  return `${proto.toLowerCase()}://${String(host)}`
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
