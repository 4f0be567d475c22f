import { isTree } from './tree.ts'

const mask = '***'

const secretName =
  /secret|password|passwd|credential|token(?!lifetime)|authorization|cookie|(?:api|access|account|private|licen[cs]e|encryption|signing)[-_]?key$/i

/**
 * A copy in which nothing is left that an operator would not show to others: what stands under a key that is named
 * like a secret (`http.secret`, a header `Authorization`), passwords inside URLs, and private keys wherever they are.
 */
export function maskSecrets(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map(item => maskSecrets(item, name))
  if (isTree(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, maskSecrets(item, key)]))
  if (value === '' || value === null || value === undefined || typeof value === 'boolean') return value
  if (secretName.test(name)) return mask
  return typeof value === 'string' ? maskText(value) : value
}

function maskText(text: string): string {
  if (text.includes('PRIVATE KEY-----')) return mask
  return (
    text
      // Up to the last @, as passwords are often pasted in unescaped; `host:5000/` is a port.
      .replace(/^([a-z][a-z0-9+.-]*:\/\/[^:@/?#\s]*:)(?!\d+(?:[/?#]|$)).*@/is, `$1${mask}@`)
      .replaceAll(/([?&](?:password|passwd|secret|token)=)[^&#]*/gi, `$1${mask}`)
  )
}
