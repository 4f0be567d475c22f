import type { StorageDriver } from './driver.ts'

/**
 * A driver whose objects a server of the operator's gives out: the URLs of `signUrl` are those below `baseUrl`, by the
 * path of an object below the driver's root. They are not signed and never expire: whether the server lets everyone in is
 * the operator's affair. Another endpoint that is asked for takes the place of `baseUrl`.
 */
export function withBaseUrl(driver: StorageDriver, { baseUrl }: { baseUrl: string }): StorageDriver {
  return {
    ...driver,
    async signUrl(key, { endpoint = baseUrl }) {
      const path = driver.filePath?.(key) ?? key
      return `${endpoint.replace(/\/+$/, '')}/${path.split('/').map(encodeURIComponent).join('/')}`
    },
  }
}

/** What becomes of the URLs of a driver. */
export interface Rewriting {
  scheme?: string | undefined
  /** With a port or without. */
  host?: string | undefined
  /** Is taken away from the beginning of the path. */
  trimPathPrefix?: string | undefined
}

/**
 * A driver whose signed URLs lead to a proxy in front of its back end. The signature stays as it was made for the back
 * end: the proxy has to send it there by the old host and path. Where another endpoint is asked for, the URL stays as
 * the driver made it.
 * @throws Error when the driver has no URLs
 */
export function withRewrittenUrls(driver: StorageDriver, { scheme, host, trimPathPrefix }: Rewriting): StorageDriver {
  const signUrl = driver.signUrl?.bind(driver)
  if (signUrl === undefined)
    throw new Error(
      `the middleware rewrite has nothing to do: the storage driver ${driver.name} makes no URLs; remove it from middleware.storage`,
    )
  return {
    ...driver,
    async signUrl(key, options) {
      const text = await signUrl(key, options)
      if (options.endpoint !== undefined) return text
      // By text: to parse the URL and write it anew might change how the signed rest is encoded.
      const [, oldScheme = '', oldHost = '', path = '', query = ''] =
        /^([^:]+):\/\/([^/?]*)([^?]*)(.*)$/s.exec(text) ?? []
      const trimmed = trimPathPrefix !== undefined && path.startsWith(trimPathPrefix)
      const rest = trimmed ? path.slice(trimPathPrefix.length) : path
      return `${scheme ?? oldScheme}://${host ?? oldHost}${rest.startsWith('/') ? '' : '/'}${rest}${query}`
    },
  }
}
