import { setTimeout as sleep } from 'node:timers/promises'
import pRetry from 'p-retry'
import { isBrokenConnection, mayPassStatus } from '../retries.ts'
import { statusOf, UnwantedAnswer } from './answers.ts'

/** How long requests are repeated: a back end that is restarted meanwhile fails no upload. */
const patienceMs = 30_000
/** At the start and in checks somebody waits to hear what is wrong. */
export const inHaste = { patienceMs: 1_000, answerMs: 10_000 }

/**
 * Does the work, and again with growing pauses while what it fails with may pass, for about so long in all. What takes
 * its time to fail is not begun once more when that is over.
 */
export async function repeating<T>(work: () => Promise<T>, ms = patienceMs): Promise<T> {
  const end = performance.now() + ms
  return pRetry(work, {
    retries: 12,
    minTimeout: 100,
    maxTimeout: 4_000,
    factor: 2,
    randomize: true,
    maxRetryTime: ms,
    shouldRetry: ({ error }) => mayPass(error),
    async onFailedAttempt({ error }) {
      const asked = error instanceof UnwantedAnswer && mayPass(error) ? (error.retryAfterMs ?? 0) : 0
      await sleep(Math.max(0, Math.min(asked, end - performance.now())))
    },
  })
}

/** Whether a request that failed so may succeed a moment later. */
export function mayPass(error: unknown): boolean {
  const status = statusOf(error)
  return status === undefined ? isBrokenConnection(error) : mayPassStatus(status)
}

/** The name of a failure below HTTP; '' for others. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : ''
}
