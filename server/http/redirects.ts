import type { FastifyRequest } from 'fastify'
import { createNetworks } from '../lib/networks.ts'
import type { Blob, Blobs } from '../registry/blobs.ts'

/** Downloads that the store serves itself (`storage.redirect` of the configuration). */
export interface RedirectOptions {
  /** No download is. */
  disable: boolean
  /** Milliseconds for which a URL is good. */
  expires: number
  /** Blobs of fewer bytes are sent by Berth: a second request costs their clients more than their bytes. */
  minsize: number
  /** The first that is for the client counts; without one it is redirected. */
  rules: readonly RedirectRule[]
}

export interface RedirectRule {
  /** Of which clients; all when left out. */
  networks?: readonly string[] | undefined
  action: 'redirect' | 'proxy'
  /** The URL under which these clients reach the store. */
  endpoint?: string | undefined
}

/** The URL at which the client is to GET a blob, which is a secret until it expires; undefined where Berth sends it. */
export type Redirect = (request: FastifyRequest, blob: Blob) => Promise<string> | undefined

/** Conditions that the store would hold against an ETag or a date of its own. */
const conditions = ['if-match', 'if-range', 'if-modified-since', 'if-unmodified-since'] as const

/** A range that the client can repeat at the store. Several at once are what stores do not serve. */
const oneRange = /^bytes=(?:\d+-\d*|-\d+)$/

/** @param options never a redirect when left out */
export function createRedirects(
  options: RedirectOptions | undefined,
  { signsUrls }: Pick<Blobs, 'signsUrls'>,
): Redirect {
  if (options === undefined || options.disable || !signsUrls) return () => undefined
  const { expires: expiresMs, minsize } = options
  const rules = options.rules.map(({ networks, action, endpoint }) => ({
    networks: networks && createNetworks(networks),
    action,
    endpoint,
  }))

  return (request, blob) => {
    const { method, headers } = request
    if (method !== 'GET' || blob.size === 0 || blob.size < minsize) return undefined
    if (conditions.some(name => headers[name] !== undefined)) return undefined
    if (headers.range !== undefined && !oneRange.test(headers.range)) return undefined
    const rule = rules.length === 0 ? undefined : ruleFor(request.ip)
    return rule?.action === 'proxy' ? undefined : blob.signUrl({ expiresMs, endpoint: rule?.endpoint })
  }

  function ruleFor(client: string | undefined) {
    return rules.find(({ networks }) => networks === undefined || networks.has(client))
  }
}
