import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import type pg from 'pg'
import type { Config } from '../config/config.ts'
import type { Order, Told } from './http-process.ts'
import { closeLostConnection } from './lost-connection.ts'
import { drainMsOf, type Serving } from './serving.ts'

/**
 * Several processes that serve one address (`http.workers`). This one, the first, listens and gives each connection to
 * the next of them in turn; it reads nothing of what is said.
 */

export interface ProcessesOptions {
  count: number
  config: Config
  /** Of the database, for all of them. */
  connection: pg.ClientConfig
  directReads: boolean
  log: Logger
}

/** Before each new start of one that has ended; when there is none left it was of no use. */
const restartDelays = [0, 100, 300, 1_000, 3_000]
/** One that has served for so long is well: when it ends then, the delays begin anew. */
const wellAfterMs = 5_000
/** How long one may take to end after its requests have. */
const stopMs = 30_000
/** The longest time that a timer takes. */
const longestMs = 2 ** 31 - 1

interface HttpProcess {
  pid: number | undefined
  /** The addresses, as soon as it listens. Rejects when it ends before, with why. */
  listening: Promise<readonly string[]>
  /** For how long it has listened. */
  servedMs(): number
  /** How it ended. */
  ended: Promise<string>
  tell(order: Order): void
  kill(): void
}

/** Starts them. @returns when all listen @throws Error with what to do when one can't; then none is left */
export async function serveByProcesses({ count, log, ...given }: ProcessesOptions): Promise<Serving> {
  const { config } = given
  const order: Order = { kind: 'serve', ...given, config: { ...config, http: await withPort(config.http) } }
  const running = new Set<HttpProcess>()
  const stopping = new AbortController()
  const exec = fileURLToPath(import.meta.resolve('./http-process.ts'))
  cluster.schedulingPolicy = cluster.SCHED_RR
  // Structured clones: a configuration has regular expressions in it.
  cluster.setupPrimary({ exec, args: [], serialization: 'advanced' })

  function start(): HttpProcess {
    const started = fork(order, stopping.signal)
    running.add(started)
    void started.ended.then(() => running.delete(started))
    return started
  }

  /** Starts another whenever it ends. @returns why no more, or undefined when all stop */
  async function keep(first: HttpProcess): Promise<Error | undefined> {
    let current = first
    let delaysUsed = 0
    for (;;) {
      const reason = await current.ended
      if (stopping.signal.aborted) return undefined
      if (current.servedMs() > wellAfterMs) delaysUsed = 0
      const delay = restartDelays[delaysUsed++]
      if (delay === undefined)
        return new Error(`an HTTP process ended ${delaysUsed} times, each time at once, in the end with: ${reason}`)
      log.error({ process: current.pid, reason }, 'http process ended, starting another')
      await sleep(delay, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return undefined
      const next = start()
      next.listening.then(
        () => log.info({ process: next.pid }, 'http process serves'),
        () => {},
      )
      current = next
    }
  }

  async function stop(): Promise<void> {
    stopping.abort()
    const all = [...running]
    for (const one of all) one.tell({ kind: 'stop' })
    const patience = setTimeout(
      () => {
        log.error({ processes: [...running].map(({ pid }) => pid) }, 'http processes do not end, they are killed')
        for (const one of running) one.kill()
      },
      Math.min(drainMsOf(config.http) + stopMs, longestMs),
    )
    await Promise.all(all.map(({ ended }) => ended))
    clearTimeout(patience)
  }

  try {
    // One alone at first: what keeps all of them from serving is told once, and a socket that was left is removed once.
    const first = start()
    const addresses = await first.listening
    const others = Array.from({ length: count - 1 }, start)
    await Promise.all(others.map(({ listening }) => listening))
    const failure = Promise.withResolvers<Error>()
    for (const one of [first, ...others]) void keep(one).then(error => error && failure.resolve(error))
    return { addresses, failure: failure.promise, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function fork(order: Order, stopping: AbortSignal): HttpProcess {
  const worker = cluster.fork()
  closeLostConnection(worker, stopping)
  const listening = Promise.withResolvers<readonly string[]>()
  // Where it ends later, nobody asks any more.
  listening.promise.catch(() => {})
  let failure: unknown
  let since: number | undefined
  worker.on('message', (told: Told) => {
    if (told.kind === 'listening') {
      since = performance.now()
      listening.resolve(told.addresses)
    } else failure = told.error
  })
  const ended = endOf(worker).then(ending => {
    const reason =
      failure instanceof Error ? failure : new Error(`an HTTP process ended with ${ending} before it served`)
    listening.reject(reason)
    return failure instanceof Error ? failure.message : ending
  })
  // One that has just ended is told nothing.
  const tell = (order: Order) => void worker.send(order, () => {})
  tell(order)
  return {
    pid: worker.process.pid,
    listening: listening.promise,
    servedMs: () => (since === undefined ? 0 : performance.now() - since),
    ended,
    tell,
    kill: () => worker.process.kill('SIGKILL'),
  }
}

/** Resolves when the process has ended and all that it told was heard, or when it could not be started. */
function endOf(worker: Worker): Promise<string> {
  const exit = new Promise<string>(resolve =>
    worker.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`)),
  )
  const silence = new Promise<void>(resolve => worker.once('disconnect', resolve))
  const failed = new Promise<string>(resolve =>
    worker.on('error', error => {
      if (worker.process.pid === undefined) resolve(error.message)
      // It can't be told anything any more, and gets no connections.
      else worker.process.kill('SIGKILL')
    }),
  )
  return Promise.race([failed, silence.then(() => exit)])
}

/** Port 0 means any: one that all of them take, also when none of the first ones is left. */
async function withPort(http: Config['http']): Promise<Config['http']> {
  const { addr } = http
  if ('path' in addr || addr.port !== 0) return http
  const server = createServer().listen(addr)
  // What is wrong with the address, those who are to listen on it tell.
  const listens = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  const found = server.address()
  if (!listens || found === null || typeof found === 'string') return http
  server.close()
  await once(server, 'close')
  return { ...http, addr: { ...addr, port: found.port } }
}
