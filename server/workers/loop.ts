import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../lib/log.ts'

/** Something that is done again and again beside the requests. Safe to run twice at once, on any number of nodes. */
export interface Worker {
  readonly name: string
  readonly everyMs: number
  run(signal: AbortSignal): Promise<void>
}

/** Runs a worker until the signal. What it throws is logged; the next turn comes all the same. */
export async function runWorker(worker: Worker, { signal, log }: { signal: AbortSignal; log: Logger }): Promise<void> {
  while (!signal.aborted) {
    try {
      await worker.run(signal)
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, worker: worker.name }, 'background work failed')
    }
    await sleep(worker.everyMs, undefined, { signal }).catch(() => {})
  }
}
