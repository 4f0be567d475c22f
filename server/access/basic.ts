/** A user name and a secret, as the header `Authorization: Basic` has them. */
export interface BasicCredentials {
  name: string
  secret: string
}

/** What the header `Authorization` says, as far as it can be understood. */
export type Authorization =
  | { scheme: 'none' }
  | ({ scheme: 'basic' } & BasicCredentials)
  | { scheme: 'bearer'; token: string }
  | { scheme: 'unknown' }

/** Longer ones are no one's; a JWT of a token service with many scopes is some kilobytes. */
const longest = 64 * 1024

/** RFC 7617, RFC 6750. Text is UTF-8; a password may have colons, a name may not. */
export function parseAuthorization(header: string | undefined): Authorization {
  if (header === undefined || header === '') return { scheme: 'none' }
  if (header.length > longest) return { scheme: 'unknown' }
  // By hand: this is on the way of every request, and a token is long.
  const end = header.indexOf(' ')
  const value = end < 0 ? '' : header.slice(end + 1).trim()
  if (value === '' || value.includes(' ') || value.includes('\t')) return { scheme: 'unknown' }
  switch (header.slice(0, end).toLowerCase()) {
    case 'bearer':
      return { scheme: 'bearer', token: value }
    case 'basic': {
      const text = Buffer.from(value, 'base64').toString('utf8')
      const colon = text.indexOf(':')
      // Postgres has no text with a NUL in it.
      if (colon < 0 || text.includes('\0')) return { scheme: 'unknown' }
      return { scheme: 'basic', name: text.slice(0, colon), secret: text.slice(colon + 1) }
    }
    default:
      return { scheme: 'unknown' }
  }
}
