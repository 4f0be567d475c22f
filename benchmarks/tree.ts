import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryOf, treeOf } from '../test/faults/tree.ts'
import { median } from './statistics.ts'

/** Of a second: `USER_HZ`, which is 100 on every Linux that Node runs on. */
const ticks = 100

/**
 * CPU seconds of a process and all that it started, in user mode and in the kernel; those that have ended are counted
 * by the parent that waited for them.
 */
export function cpuSecondsOf(pid: number): number {
  return treeOf(pid).reduce((sum, id) => sum + cpuSecondsIn(statOf(id)), 0)
}

/** The same of one process, as the text of its `/proc/PID/stat` tells it; 0 for the empty text. proc_pid_stat(5) */
export function cpuSecondsIn(stat: string): number {
  // The name stands in parentheses and may hold anything, so what follows counts from the last one: state is the third field.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system, waitedUser, waitedSystem] = fields.slice(11, 15).map(Number)
  return ((user ?? 0) + (system ?? 0) + (waitedUser ?? 0) + (waitedSystem ?? 0)) / ticks
}

export interface Peak {
  /** Bytes; pages that several processes share are counted once. */
  pss: number
  /** Bytes; what each process shows, added up. */
  rss: number
  /** The median PSS of the last fifth of the time as a part of the first's. */
  growth: number
}

/** Watches what a tree takes up, four times a second. */
export function watchMemory(pid: number): { end: () => Promise<Peak> } {
  const over = new AbortController()
  const seen: number[] = []
  let most = 0
  const look = () => {
    const { pss, rss } = memoryOf(pid)
    seen.push(pss)
    most = Math.max(most, rss)
  }
  const looks = (async () => {
    for (; !over.signal.aborted; await sleep(250, undefined, { signal: over.signal }).catch(() => {})) look()
  })()
  return {
    async end() {
      over.abort()
      await looks
      look()
      return { pss: Math.max(...seen), rss: most, growth: growthOf(seen) }
    },
  }
}

/** How values that were taken in even steps have grown: the median of the last fifth as a part of the first's. */
export function growthOf(values: readonly number[]): number {
  const fifth = Math.ceil(values.length / 5)
  return median(values.slice(-fifth)) / median(values.slice(0, fifth))
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    // It ended between one look and the next.
    return ''
  }
}
