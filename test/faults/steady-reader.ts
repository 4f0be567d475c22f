import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'

export interface SteadyReader {
  /** Ends it. @returns how long each answer took in milliseconds, and what went wrong */
  stop(): Promise<{ took: number[]; failures: string[] }>
}

/** Asks for a path every so often, in a thread of its own, and expects these bytes each time. */
export function startSteadyReader(
  t: Test,
  wanted: { url: string; path: string; bytes: Buffer; everyMs: number },
): SteadyReader {
  const worker = new Worker(new URL('fixtures/steady-reader.ts', import.meta.url), { workerData: wanted })
  t.teardown(() => worker.terminate())
  return {
    async stop() {
      worker.postMessage('stop', [])
      const [seen] = await once(worker, 'message')
      await worker.terminate()
      return seen
    },
  }
}
