import type { Load } from './loads/load.ts'
import type { ServerName } from './servers/server.ts'
import { median, ratioOf } from './statistics.ts'

/** What one turn of a load on a server came to. Every measure has its own name in tables and goals. */
export interface Sample {
  /** MiB/s, or operations a second. */
  speed: number
  /** Of one operation, milliseconds. */
  p50: number
  p99: number
  /** CPU seconds of the server for each GiB, or milliseconds for each operation; its whole tree. */
  cpu: number
  /** At the most, bytes of the whole tree: shared pages once, and added up. */
  pss: number
  rss: number
  /** A small GET beside it, milliseconds. */
  probe50: number
  probe99: number
  /** How much of one core the generator took, 0 to 1. */
  generator: number
  /** What the load measures beside that. */
  [extra: string]: number
}

/** The samples of one load, by server, in the order of the rounds. */
export interface LoadResult {
  load: Pick<Load, 'name' | 'title' | 'unit' | 'place'>
  samples: Partial<Record<ServerName, Sample[]>>
}

/** The median of a measure over the rounds; undefined where the server was not measured. */
export function medianOf({ samples }: LoadResult, server: ServerName, measure: string): number | undefined {
  const values = valuesOf(samples[server], measure)
  return values.length === 0 ? undefined : median(values)
}

/** Berth's part of a peer's, the median over the rounds. */
export function ratioTo({ samples }: LoadResult, peer: ServerName, measure: string): number | undefined {
  return ratioOf(valuesOf(samples.berth, measure), valuesOf(samples[peer], measure))
}

function valuesOf(samples: readonly Sample[] | undefined, measure: string): number[] {
  return (samples ?? []).flatMap(sample => {
    const value = sample[measure]
    return value === undefined || Number.isNaN(value) ? [] : [value]
  })
}
