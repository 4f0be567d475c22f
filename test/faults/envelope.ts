import type { IncomingHttpHeaders } from 'node:http'
import { errorTable } from '../../server/oci/errors.ts'

/** Codes beside those of the specification, which may come with a 5xx only. */
const ours = new Set(['UNAVAILABLE', 'INSUFFICIENT_STORAGE', 'UNKNOWN'])

/** What is wrong with an error's answer; undefined when it is the protocol's envelope with a code that fits. */
export function envelopeFault(status: number, headers: IncomingHttpHeaders, body: Buffer): string | undefined {
  const type = headers['content-type'] ?? ''
  if (!/^application\/json(?:;|$)/.test(type)) return `its content type is "${type}"`
  const text = body.toString()
  const code = codeIn(text)
  if (code === undefined) return `it has no envelope: ${text.slice(0, 200)}`
  if (!errorTable().some(entry => entry.code === code)) return `the code ${code} is unknown`
  if (status < 500 && ours.has(code)) return `the code ${code} is none of the specification's`
  return undefined
}

/** The first code of an envelope. */
export function codeIn(text: string): string | undefined {
  try {
    const parsed: { errors?: { code?: unknown; message?: unknown }[] } = JSON.parse(text)
    const [first] = parsed.errors ?? []
    return typeof first?.code === 'string' && typeof first.message === 'string' ? first.code : undefined
  } catch {
    return undefined
  }
}
