import { validateHeaderName, validateHeaderValue } from 'node:http'
import { reasonOf } from '../lib/reason.ts'

/** What frames an answer or steers its connection: set to anything else, no client could read it. */
const ours = new Set(['connection', 'content-length', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/**
 * The headers of every response: Berth's own, and over them those of `http.headers`, with names in lower case.
 * @throws Error when one of them can't be sent
 */
export function commonHeaders(
  configured: Readonly<Record<string, readonly string[]>>,
): Record<string, string | string[]> {
  for (const [name, values] of Object.entries(configured)) {
    if (ours.has(name.toLowerCase())) throw new Error(`http.headers: ${name} is for Berth to set: remove it`)
    try {
      validateHeaderName(name)
      for (const value of values) validateHeaderValue(name, value)
    } catch (error) {
      throw new Error(`http.headers: ${JSON.stringify(name)} can not be sent: ${reasonOf(error)}`, { cause: error })
    }
  }
  return {
    // Old docker clients look for it; Docker Registry sends it with everything.
    'docker-distribution-api-version': 'registry/2.0',
    'x-content-type-options': 'nosniff',
    ...Object.fromEntries(Object.entries(configured).map(([name, values]) => [name.toLowerCase(), [...values]])),
  }
}
