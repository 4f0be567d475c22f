import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../lib/log.ts'
import { PostgresFailed } from './errors.ts'
import type { Server } from './server.ts'

export interface Supervision {
  first: Server
  start: () => Promise<Server>
  /** Milliseconds before each attempt; when as many in a row have failed, it gives up. */
  restartDelays: readonly number[]
  log: Logger
  /** Stops Postgres, and starts it no more. */
  signal: AbortSignal
}

/** A Postgres that has run for so long is well: when it ends then, the delays begin anew. */
const wellAfterMs = 30_000

/**
 * Starts Postgres again whenever it ends.
 * @returns why it gave up, or undefined when it was stopped by the signal. No process of Postgres is left then.
 */
export async function supervise(options: Supervision): Promise<PostgresFailed | undefined> {
  const { first, start, restartDelays, log, signal } = options
  const aborted = new Promise<undefined>(resolve => signal.addEventListener('abort', () => resolve(undefined)))
  let server = first
  let delaysUsed = 0

  async function startAgain(): Promise<Server | PostgresFailed | undefined> {
    for (let attempt = 1; ; attempt++) {
      const delay = restartDelays[Math.min(delaysUsed++, restartDelays.length - 1)]
      await sleep(delay, undefined, { signal }).catch(() => {})
      if (signal.aborted) return undefined
      try {
        return await start()
      } catch (error) {
        if (signal.aborted) return undefined
        log.warn({ err: error, attempt }, 'embedded postgres could not be started again')
        if (attempt >= restartDelays.length) {
          return new PostgresFailed(`the embedded Postgres ended and did not start again in ${attempt} attempts`, {
            cause: error,
          })
        }
      }
    }
  }

  for (;;) {
    const startedAt = performance.now()
    const ending = await Promise.race([server.ended, aborted])
    if (ending === undefined || signal.aborted) break
    log.error({ ...ending, pid: server.pid }, 'embedded postgres ended, starting it again')
    if (performance.now() - startedAt > wellAfterMs) delaysUsed = 0
    const next = await startAgain()
    if (next === undefined) break
    if (next instanceof PostgresFailed) {
      log.error({ err: next }, 'embedded postgres given up')
      return next
    }
    server = next
    log.info({ pid: server.pid }, 'embedded postgres is back')
  }
  await server.stop()
  return undefined
}
