import type { HttpAnswer, HttpRequest } from './http.ts'

/** An answer that was not wanted. */
export class UnwantedAnswer extends Error {
  readonly status: number
  /** The beginning of what came with it. */
  readonly text: string
  /** Milliseconds after which the server wants to be asked again, where it said so. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    { status, text, retryAfterMs }: Pick<UnwantedAnswer, 'status' | 'text' | 'retryAfterMs'>,
  ) {
    super(message)
    this.name = 'UnwantedAnswer'
    this.status = status
    this.text = text
    this.retryAfterMs = retryAfterMs
  }
}

const mostText = 500

/** Reads what an answer that was not wanted says. */
export async function unwanted({ method, url }: HttpRequest, answer: HttpAnswer): Promise<UnwantedAnswer> {
  const { status } = answer
  const whole = await answer.text().catch(() => '')
  const text = whole
    .replaceAll(/<[^>]*>|\s+/g, ' ')
    .replaceAll(/ {2,}/g, ' ')
    .trim()
    .slice(0, mostText)
  const message = `${method} ${url} was answered by ${status}${text === '' ? '' : `: ${text}`}`
  return new UnwantedAnswer(message, { status, text, retryAfterMs: retryAfter(answer.header('retry-after')) })
}

/** The status of an answer that was not wanted; undefined where it was something else that went wrong. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof UnwantedAnswer ? error.status : undefined
}

/** Whether Swift says that there is no such thing. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0)
}
