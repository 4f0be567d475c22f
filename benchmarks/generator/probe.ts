import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../statistics.ts'
import { openConnection, type Target } from './connection.ts'

export interface Probe {
  /** Ends it. @returns milliseconds from request to whole answer, and how many there were */
  end: () => Promise<{ p50: number; p99: number; count: number }>
}

const pauseMs = 5

/** What a small request meets while something else goes on: `GET /v2/`, a pause of 5 ms, and again, on one connection. */
export async function startProbe(target: Target): Promise<Probe> {
  const connection = await openConnection(target)
  const request = { method: 'GET', path: '/v2/' }
  // The first one opens what the server opens late.
  await connection.expect('200', request)
  const latencies: number[] = []
  const over = new AbortController()
  const looks = (async () => {
    while (!over.signal.aborted) {
      const from = performance.now()
      await connection.expect('200', request)
      latencies.push(performance.now() - from)
      await sleep(pauseMs)
    }
  })()
  // It is told by `end`.
  looks.catch(() => {})
  return {
    async end() {
      over.abort()
      await looks
      connection.close()
      return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), count: latencies.length }
    },
  }
}
