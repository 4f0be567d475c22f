import { LRUCache } from 'lru-cache'
import { RegistryError } from '../oci/errors.ts'

/**
 * What a process that works alone on its database remembers of it, so that a pull need not ask. It is exact: what was
 * answered as changed is never remembered as it was before.
 */
export interface Memory<Value extends {}> {
  get(key: string): Value | undefined
  /** To be asked before the database is. */
  now(): Moment
  /** Remembers what the database said, unless anything was changed since. @returns whether it did */
  remember(key: string, value: Value, since: Moment): boolean
  /** Runs work that changes what stands under these keys: it is forgotten before the work is answered for. */
  changing<T>(keys: readonly string[], work: () => Promise<T>): Promise<T>
  /** As `changing`, for all keys of a kind: it looks at everything that is remembered. */
  changingAll<T>(of: (key: string) => boolean, work: () => Promise<T>): Promise<T>
}

/** How many changes there have been. */
export type Moment = number

export interface MemoryOptions<Value> {
  /** Entries at most. */
  max: number
  /** What they may weigh in all, with the weight of one; not limited when left out. */
  weight?: { most: number; of(this: void, value: Value): number }
  /** An entry is not remembered any more, whyever. */
  forgotten?: (this: void, value: Value) => void
}

/**
 * Where nobody knows whether the database has done what it was asked for, it may still come to do it: so long, at most,
 * statements go on there (server/metadata/database.ts), with a wide margin.
 */
const unsureMs = 5 * 60_000

export function createMemory<Value extends {}>({ max, weight, forgotten }: MemoryOptions<Value>): Memory<Value> {
  const entries = new LRUCache<string, Value>({
    max,
    ...(weight === undefined ? {} : { maxSize: weight.most, sizeCalculation: weight.of }),
    ...(forgotten === undefined ? {} : { dispose: forgotten }),
  })
  /** Keys that are not remembered for a while. Unbounded, for to forget one would be wrong; each costs a lost connection. */
  const unsure = new Map<string, NodeJS.Timeout>()
  const unsureKinds = new Set<(key: string) => boolean>()
  let changes = 0

  function forget(keys: Iterable<string>): void {
    changes++
    for (const key of keys) entries.delete(key)
  }

  function avoid(key: string): void {
    clearTimeout(unsure.get(key))
    unsure.set(key, setTimeout(() => unsure.delete(key), unsureMs).unref())
  }

  function avoidAll(of: (key: string) => boolean): void {
    unsureKinds.add(of)
    setTimeout(() => unsureKinds.delete(of), unsureMs).unref()
  }

  function isUnsure(key: string): boolean {
    if (unsure.has(key)) return true
    for (const of of unsureKinds) if (of(key)) return true
    return false
  }

  return {
    get: key => entries.get(key),
    now: () => changes,
    remember(key, value, since) {
      if (changes !== since || isUnsure(key)) return false
      entries.set(key, value)
      return true
    },
    async changing(keys, work) {
      try {
        return await attempt(work, () => keys.forEach(avoid))
      } finally {
        forget(keys)
      }
    },
    async changingAll(of, work) {
      try {
        return await attempt(work, () => avoidAll(of))
      } finally {
        forget([...entries.keys()].filter(of))
      }
    },
  }
}

/** Runs work, and notes when nobody knows whether it was done. */
async function attempt<T>(work: () => Promise<T>, note: () => void): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof RegistryError && error.status < 500)) note()
    throw error
  }
}
