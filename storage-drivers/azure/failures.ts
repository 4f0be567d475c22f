import { isBrokenConnection, mayPassStatus } from '../retries.ts'

/** The HTTP status of Azure's answer; undefined where there was none. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined
}

/** A header of the answer that an error came with. */
export function headerOf(error: unknown, name: string): string | undefined {
  if (!(error instanceof Error) || !('response' in error)) return undefined
  const { response } = error
  if (typeof response !== 'object' || response === null || !('headers' in response)) return undefined
  return (response.headers as { get(name: string): string | undefined }).get(name)
}

/** Azure's name for an error; else the system's or TLS's own, however deep in the error it is; else ''. */
export function codeOf(error: unknown): string {
  // An answer to HEAD has no body, where the others say it too.
  const header = headerOf(error, 'x-ms-error-code')
  if (header !== undefined) return header
  if (!(error instanceof Error)) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return error.errors.map(codeOf).find(code => code !== '') ?? ''
  return codeOf(error.cause)
}

/** Whether Azure says that there is no such object. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && codeOf(error) !== 'ContainerNotFound'
}

/** Whether an object is not as the condition of a request wants it. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === 409 || statusOf(error) === 412
}

/** Whether the same request may succeed a moment later. */
export function mayPass(error: unknown): boolean {
  const status = statusOf(error)
  if (status !== undefined) return mayPassStatus(status)
  return isBrokenConnection(error) || isBrokenAnswer(error)
}

/** The SDK speaks so of answers whose connection broke off in the middle of them. */
function isBrokenAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return codeOf(error) === 'REQUEST_SEND_ERROR' || /^Error reading response|Unclosed root tag/.test(error.message)
}
