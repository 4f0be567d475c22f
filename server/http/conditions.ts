import type { IncomingHttpHeaders } from 'node:http'

/** `*`, or the entity tags of an If-Match or If-None-Match header without quotes and without `W/`. Digests that are
 * sent bare count as well: old clients do that. */
export function entityTags(header: string | undefined): '*' | string[] | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return '*'
  return header
    .split(',')
    .map(tag => /^(?:W\/)?"?([^"]*)"?$/.exec(tag.trim())?.[1] ?? '')
    .filter(tag => tag !== '')
}

/**
 * What the conditions of a GET or HEAD lead to for a representation with this entity tag (RFC 9110 section 13.2.2).
 * @returns the status to answer with instead, or undefined to go on
 */
export function failedCondition(headers: IncomingHttpHeaders, etag: string): 304 | 412 | undefined {
  const match = entityTags(headers['if-match'])
  if (match !== undefined && match !== '*' && !match.includes(etag)) return 412
  const noneMatch = entityTags(headers['if-none-match'])
  return noneMatch !== undefined && (noneMatch === '*' || noneMatch.includes(etag)) ? 304 : undefined
}
