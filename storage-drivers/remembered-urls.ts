import { LRUCache } from 'lru-cache'
import type { StorageDriver } from './driver.ts'

/** Objects whose URLs are remembered; each takes about a kilobyte. */
const most = 5000
const longestRememberedMs = 60_000

/**
 * A driver that gives the same URL again for a while: to sign one costs more than all else of a redirect, and many
 * clients fetch the same image at once. What it gives is good for nine tenths of the time that is asked for, at least.
 * @param longestMs for how long the driver's URLs are good at most, where it decides that itself
 * @param now milliseconds of a clock that only goes forward
 */
export function withRememberedUrls(
  driver: StorageDriver,
  { longestMs = Infinity, now = () => performance.now() }: { longestMs?: number; now?: () => number } = {},
): StorageDriver {
  const signUrl = driver.signUrl?.bind(driver)
  if (signUrl === undefined) return driver
  const urls = new LRUCache<string, Promise<string>>({ max: most, ttlResolution: 0, perf: { now } })
  return {
    ...driver,
    async signUrl(key, options) {
      const { expiresMs, endpoint } = options
      const name = JSON.stringify([key, expiresMs, endpoint])
      const known = urls.get(name)
      if (known !== undefined) return known
      const url = signUrl(key, options)
      urls.set(name, url, { ttl: Math.max(1, Math.min(Math.min(expiresMs, longestMs) / 10, longestRememberedMs)) })
      url.catch(() => urls.delete(name))
      return url
    },
  }
}
