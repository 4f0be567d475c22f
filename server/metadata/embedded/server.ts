import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from '../../lib/log.ts'
import { DataFolderInUse, PostgresFailed } from './errors.ts'
import type { Launcher } from './launcher.ts'
import { type LockSession, tryLock } from './lock-session.ts'
import { type Place, prepareSockets } from './place.ts'
import { endLeftovers, endPostmaster, findPostmaster, readPostmasterPid, removeStaleLockFiles } from './processes.ts'
import type { Programs } from './programs.ts'
import { followServerLog, type ServerLog } from './server-log.ts'

/** One Postgres, from the clearing of its place to its end. */
export interface Server {
  /** The postmaster's. */
  readonly pid: number
  /** The connection that holds the lock inside this Postgres. */
  readonly client: pg.Client
  /** Settles when the postmaster has ended, for whatever reason. */
  readonly ended: Promise<Ending>
  /** Ends it: fast shutdown, then immediate, then by force. No process of it is left when this resolves. */
  stop(): Promise<void>
}

interface Ending {
  code: number | null
  signal: NodeJS.Signals | null
  /** Why it could not be started at all. */
  error?: Error
}

export interface ServerOptions {
  place: Place
  launcher: Launcher
  programs: Programs
  settings: Readonly<Record<string, string>>
  /** The superuser's connection, to the database `postgres`. */
  administrator: pg.ClientConfig
  /** Whether the lock file proves that no other Berth uses the folder. */
  exclusive: boolean
  log: Logger
  signal: AbortSignal
}

const pollEveryMs = 20
/** A recovery of the little log that the settings allow takes seconds; this is for very slow disks. */
const readyWithinMs = 5 * 60_000
/** How long a Postgres that is not ours may take to answer, or to end, before it is taken for stuck. */
const strangerPatienceMs = 10_000
const strangerAttempts = 4

/**
 * Starts Postgres on a cluster that is there, and takes its lock. An orphan of an earlier Berth is stopped first.
 * @throws DataFolderInUse, PostgresFailed, or anything when the signal is aborted
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { place, launcher, exclusive, signal } = options
  for (let attempt = 1; ; attempt++) {
    await clearTheWay(options)
    await prepareSockets(place, launcher.account)
    signal.throwIfAborted()
    const postmaster = spawnPostmaster(options)
    try {
      const session = await takeLock(postmaster, options)
      void keepLock(session, postmaster, options)
      return { ...postmaster, client: session.client }
    } catch (error) {
      await postmaster.stop()
      if (signal.aborted || error instanceof DataFolderInUse) throw error
      if (exclusive || attempt === strangerAttempts) {
        throw new PostgresFailed(`the embedded Postgres does not start: ${reasonOf(error, postmaster.log)}`, {
          cause: error,
        })
      }
      // Without the lock file, another Berth may have come in between. The next look at the folder tells; that two
      // which began at the same moment do not go on in step, each waits as long as it likes.
      await sleep(100 + Math.random() * 400)
    }
  }
}

/** Sees that no process of an earlier Postgres serves the cluster, nor anything it left stops a new one. */
async function clearTheWay(options: ServerOptions): Promise<void> {
  const { place, log } = options
  for (;;) {
    const pid = await findPostmaster(place.cluster)
    if (pid === undefined) {
      const stubborn = await endLeftovers(place.cluster)
      if (stubborn.length > 0) {
        throw new PostgresFailed(
          `processes of an earlier Postgres do not end (${stubborn.join(', ')}): see what they wait for, or restart the machine`,
        )
      }
      if ((await findPostmaster(place.cluster)) === undefined) break
      continue
    }
    const session = await takeOver(pid, options)
    log.warn({ pid }, 'embedded postgres of an earlier run is still there, stopping it')
    await endPostmaster(pid, place.cluster)
    session?.close()
  }
  await removeStaleLockFiles(place.lockFiles, place.cluster)
}

/** Takes the lock of a Postgres that was there before: then it is an orphan, and no one else's to stop. */
async function takeOver(pid: number, options: ServerOptions): Promise<LockSession | undefined> {
  const { place, administrator, exclusive, signal } = options
  const until = performance.now() + strangerPatienceMs
  while ((await findPostmaster(place.cluster)) === pid) {
    const attempt = await tryLock(administrator)
    if (attempt.kind === 'held') throw new DataFolderInUse(place.folder, attempt.pid)
    if (attempt.kind === 'taken') return attempt.session
    if (performance.now() > until) {
      if (exclusive) return undefined
      throw new PostgresFailed(
        `a Postgres (process ${pid}) serves ${place.cluster} and does not answer: end it if no Berth uses it`,
        { cause: attempt.error },
      )
    }
    await sleep(pollEveryMs)
    signal.throwIfAborted()
  }
  return undefined
}

interface Postmaster {
  pid: number
  ended: Promise<Ending>
  /** Aborted when it has ended. */
  over: AbortSignal
  log: ServerLog
  stop(): Promise<void>
}

function spawnPostmaster({ launcher, programs, place, settings, log }: ServerOptions): Postmaster {
  const values = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const { file, args, options } = launcher.command(programs.postgres, ['-D', place.cluster, ...values], 'INT')
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  const over = new AbortController()
  const ended = endOf(child).then(ending => {
    over.abort(ending.error ?? new Error(`postgres ended (code ${ending.code}, signal ${ending.signal})`))
    return ending
  })
  async function stop() {
    for (const [name, patienceMs] of [
      ['SIGINT', 20_000],
      ['SIGQUIT', 6_000],
      ['SIGKILL', 5_000],
    ] as const) {
      if (over.signal.aborted) break
      child.kill(name)
      await sleep(patienceMs, undefined, { signal: over.signal }).catch(() => {})
    }
    await endLeftovers(place.cluster)
  }
  return { pid: child.pid ?? 0, ended, over: over.signal, log: followServerLog(child.stderr, log), stop }
}

/** Resolves at the end of the process, when its last words have been read too. */
async function endOf(child: ChildProcess): Promise<Ending> {
  const closed = new Promise<void>(resolve => child.on('close', () => resolve()))
  const ending = await new Promise<Ending>(resolve => {
    child.on('exit', (code, signal) => resolve({ code, signal }))
    child.on('error', error => resolve({ code: null, signal: null, error }))
  })
  // Processes that it left behind may hold the pipe open.
  await Promise.race([closed, sleep(200, undefined, { ref: false })])
  return ending
}

/** Connects as soon as Postgres takes connections, and takes the lock. */
async function takeLock(postmaster: Postmaster, options: ServerOptions): Promise<LockSession> {
  const { administrator, place, signal } = options
  const over = AbortSignal.any([signal, postmaster.over])
  const until = performance.now() + readyWithinMs
  for (;;) {
    over.throwIfAborted()
    const attempt = await tryLock(administrator)
    if (attempt.kind === 'held') throw new DataFolderInUse(place.folder, attempt.pid)
    if (attempt.kind === 'taken') {
      // Another Berth's may have come to the same socket just before; then ours is about to end.
      if ((await readPostmasterPid(place.cluster)) === postmaster.pid) return attempt.session
      attempt.session.close()
    }
    if (performance.now() > until) {
      throw attempt.kind === 'away' ? attempt.error : new Error(`process ${postmaster.pid} is not the one that answers`)
    }
    await sleep(pollEveryMs)
  }
}

/** When one of its processes crashes, Postgres drops every connection and goes on; so must the lock. */
async function keepLock(session: LockSession, postmaster: Postmaster, options: ServerOptions): Promise<void> {
  const { log, signal } = options
  try {
    for (;;) {
      await session.lost
      session = await takeLock(postmaster, options)
      log.warn({}, 'embedded postgres closed the connection of its lock, it is taken again')
    }
  } catch (error) {
    if (signal.aborted || postmaster.over.aborted) return
    log.error({ err: error }, 'embedded postgres lost its lock, stopping it')
    await postmaster.stop()
  }
}

function reasonOf(error: unknown, log: ServerLog): string {
  const lines = log.lastLines()
  const from = lines.findLastIndex(line => /^(FATAL|PANIC):/.test(line))
  if (from >= 0) return lines.slice(from).join(' ')
  return lines.at(-1) ?? String(error)
}
