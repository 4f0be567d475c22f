/** Servers as child processes whose output is read and dropped, so that hours of it take no memory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import '../../conformance/process.ts'
import { programPath } from '../../conformance/programs.ts'
import { openConnection, type Target } from '../generator/connection.ts'

export interface ServerProcess {
  readonly pid: number
  /** Whether it has ended. */
  readonly ended: () => boolean
  /** The end of what it wrote. */
  readonly lastWords: () => string
  /** Sends SIGTERM to `pid` (itself when left out), and kills what is left of its group after a while. */
  readonly stop: (pid?: number) => Promise<void>
}

const alive = new Set<number>()
const wordsKept = 4000

// The conformance programs' module turns signals into this event.
process.on('exit', () => {
  for (const pid of alive) kill(-pid, 'SIGKILL')
})

export interface LaunchOptions {
  cwd: string
  /** Added to this process's environment; undefined takes a variable out of it. */
  env?: Record<string, string | undefined>
}

/** Starts a server in a process group of its own, which ends with this process at the latest. */
export async function launch(
  [command, ...args]: readonly [string, ...string[]],
  { cwd, env }: LaunchOptions,
): Promise<ServerProcess> {
  const child = spawn(command, args, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: programPath(), ...env },
  })
  let words = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      words = (words.length > wordsKept ? words.slice(-wordsKept) : words) + bytes.toString('latin1', 0, wordsKept)
    })
  }
  let over = false
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => {
      over = true
      resolve()
    })
  })
  await once(child, 'spawn')
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} could not be started`)
  alive.add(pid)
  return {
    pid,
    ended: () => over,
    lastWords: () => words.slice(-wordsKept).trim(),
    async stop(first = pid) {
      kill(first, 'SIGTERM')
      const timer = setTimeout(() => kill(-pid, 'SIGKILL'), 20_000)
      await exited
      clearTimeout(timer)
      kill(-pid, 'SIGKILL')
      alive.delete(pid)
    },
  }
}

/** Waits until a server answers `GET /v2/`. @throws Error with what it said when it ended or took longer than a minute */
export async function untilAnswers(target: Target, server: ServerProcess): Promise<void> {
  for (const limit = Date.now() + 60_000; ;) {
    if (await answers(target)) return
    if (server.ended()) throw new Error(`${target.name} ended before it was ready:\n${server.lastWords()}`)
    if (Date.now() > limit) throw new Error(`${target.name} was not ready after a minute:\n${server.lastWords()}`)
    await sleep(50)
  }
}

async function answers(target: Target): Promise<boolean> {
  try {
    const connection = await openConnection(target)
    try {
      // One with accounts asks who it is.
      return [200, 401].includes((await connection.send({ method: 'GET', path: '/v2/' })).status)
    } finally {
      connection.close()
    }
  } catch {
    return false
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone: that is what was wanted.
  }
}
