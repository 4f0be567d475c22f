import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../lib/log.ts'

/** Something that is done again and again beside the requests. Safe to run twice at once, on any number of nodes. */
export interface Worker {
  readonly name: string
  readonly everyMs: number
  run(signal: AbortSignal): Promise<void>
}

/** Runs workers until it is disposed of, which waits for what they are at. */
export function startWorkers(workers: readonly Worker[], log: Logger): AsyncDisposable {
  const end = new AbortController()
  const loops = workers.map(worker => runWorker(worker, { signal: end.signal, log }))
  return {
    async [Symbol.asyncDispose]() {
      end.abort()
      await Promise.all(loops)
    },
  }
}

/** The longest time that a timer takes; a longer one would be over at once. */
const longestMs = 2 ** 31 - 1

/** Runs a worker at once, and again after each pause, until the signal. What it throws is logged; the next turn comes all the same. */
export async function runWorker(worker: Worker, { signal, log }: { signal: AbortSignal; log: Logger }): Promise<void> {
  while (!signal.aborted) {
    try {
      await worker.run(signal)
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, worker: worker.name }, 'background work failed')
    }
    await sleep(Math.min(worker.everyMs, longestMs), undefined, { signal }).catch(() => {})
  }
}
