import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Digest, type DigestAlgorithm, parseDigest } from '../oci/digest.ts'
import type { Filled } from './body.ts'
import type { Order, Reply } from './hash-orders.ts'

/**
 * Threads that hash what comes in, and write it where uploads are files of this machine: both at once, while the bytes
 * are in one core's cache, and neither on the thread that serves requests. They start with the first body that is
 * large enough to be worth it.
 */
export interface HashThreads {
  /** A new hash, on the thread with the fewest. @param file bytes of an upload that stand in a file already */
  begin(algorithm: DigestAlgorithm, file?: { fd: number; length: number }): Promise<ThreadHash>
  /** What was asked of the threads and is not answered yet, and the hashes that live there. */
  readonly load: { jobs: number; hashes: number }
}

/** A hash that lives on a thread. Each but one that was dropped takes memory there: whoever has it drops it. */
export interface ThreadHash {
  readonly algorithm: DigestAlgorithm
  /**
   * Takes the bytes in, after all those of earlier calls, and writes them where a file is named. The buffer and the
   * file's descriptor are the thread's until it resolves or rejects. @throws what the file system says
   */
  update(filled: Pick<Filled, 'buffer' | 'pieces'>, file?: { fd: number; position: number }): Promise<void>
  /** The same state, which from here on goes its own way. */
  copy(): ThreadHash
  /** The digest of what came so far; the hash can go on. */
  digest(): Promise<Digest>
  drop(): void
}

interface Thread {
  worker: Worker
  /** Hashes that live there. */
  hashes: number
  jobs: Map<number, (reply: Reply) => void>
}

/** More than one, or one upload is bound to one core; more than a few only take memory. */
const most = Math.max(2, Math.min(4, availableParallelism()))

export function createHashThreads(): HashThreads {
  const threads: Thread[] = []
  let lastJob = 0
  let lastId = 0

  function start(): Thread {
    const worker = new Worker(new URL('./hash-thread.ts', import.meta.url), {
      name: 'hash',
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
      execArgv: [],
      env: {},
    })
    const thread: Thread = { worker, hashes: 0, jobs: new Map() }
    worker.on('message', (reply: Reply) => {
      const done = thread.jobs.get(reply.job)
      thread.jobs.delete(reply.job)
      if (thread.jobs.size === 0) worker.unref()
      done?.(reply)
    })
    let reason = 'a thread that hashes has ended'
    worker.on('error', error => (reason = `${reason}: ${String(error)}`))
    // Not before: until it is gone it may still write.
    worker.on('exit', () => {
      threads.splice(threads.indexOf(thread), 1)
      for (const [job, done] of thread.jobs) done({ job, error: { message: reason, code: undefined } })
    })
    // After the listeners, which hold the process as jobs do.
    worker.unref()
    threads.push(thread)
    return thread
  }

  function pick(): Thread {
    const idlest = threads.toSorted((a, b) => a.hashes - b.hashes)[0]
    if (idlest === undefined || (idlest.hashes > 0 && threads.length < most)) return start()
    return idlest
  }

  function ask(thread: Thread, make: (job: number) => Order): Promise<string | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
    if (!threads.includes(thread)) return Promise.reject(new Error('the thread of this hash has ended'))
    const job = ++lastJob
    if (thread.jobs.size === 0) thread.worker.ref()
    thread.jobs.set(job, ({ hex, error }) => {
      if (error === undefined) resolve(hex)
      else reject(Object.assign(new Error(error.message), error.code === undefined ? {} : { code: error.code }))
    })
    thread.worker.postMessage(make(job))
    return promise
  }

  function hashOn(thread: Thread, algorithm: DigestAlgorithm, id: number): ThreadHash {
    thread.hashes++
    return {
      algorithm,
      async update({ buffer, pieces }, file) {
        await ask(thread, job => ({ kind: 'update', job, id, buffer, pieces, file }))
      },
      copy() {
        const to = ++lastId
        thread.worker.postMessage({ kind: 'copy', id, to } satisfies Order)
        return hashOn(thread, algorithm, to)
      },
      async digest() {
        return parseDigest(`${algorithm}:${await ask(thread, job => ({ kind: 'digest', job, id }))}`)
      },
      drop() {
        thread.hashes--
        thread.worker.postMessage({ kind: 'drop', id } satisfies Order)
      },
    }
  }

  return {
    async begin(algorithm, file) {
      const thread = pick()
      const id = ++lastId
      const hash = hashOn(thread, algorithm, id)
      try {
        await ask(thread, job => ({ kind: 'begin', job, id, algorithm, file }))
      } catch (error) {
        hash.drop()
        throw error
      }
      return hash
    },
    get load() {
      return {
        jobs: threads.reduce((sum, { jobs }) => sum + jobs.size, 0),
        hashes: threads.reduce((sum, { hashes }) => sum + hashes, 0),
      }
    },
  }
}
