import { percentile } from '../statistics.ts'
import type { Work } from '../loads/load.ts'
import type { Connection } from './connection.ts'

export interface RepeatOptions {
  /** One operation at a time runs on each. */
  connections: readonly Connection[]
  /** Does the operation; `number` counts them all, from 0. @returns bytes of blobs that went over the wire */
  operation: (connection: Connection, number: number) => Promise<number>
  /** No operation is begun after so many seconds. */
  seconds?: number
  /** Nor are there more than so many. */
  most?: number
}

/** Repeats an operation on connections at once. */
export async function repeat({
  connections,
  operation,
  seconds = Infinity,
  most = Infinity,
}: RepeatOptions): Promise<Work> {
  const latencies: number[] = []
  let begun = 0
  let bytes = 0
  const start = performance.now()
  const until = start + seconds * 1000
  await Promise.all(
    connections.map(async connection => {
      for (let from = performance.now(); from < until && begun < most;) {
        // Not `bytes += await`: that would add to what it was before the others went on.
        const sent = await operation(connection, begun++)
        bytes += sent
        const now = performance.now()
        latencies.push(now - from)
        from = now
      }
    }),
  )
  return {
    seconds: (performance.now() - start) / 1000,
    operations: latencies.length,
    bytes,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  }
}
