/**
 * Processes that are certain to end: each runs in a process group of its own, which is killed when its time is up
 * and, whatever happens, when this process ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { finished } from 'node:stream/promises'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { programPath } from './programs.ts'

export interface RunOptions {
  cwd?: string
  /** Added to this process's environment; undefined takes a variable out of it. */
  env?: Record<string, string | undefined>
  /** What the program reads; nothing when left out. */
  input?: string | Readable
  /** Gets what the program writes as it comes; it is collected all the same. */
  onOutput?: (bytes: Buffer, from: 'stdout' | 'stderr') => void
  /** After so many seconds the program and its children are killed. 120 when left out. */
  seconds?: number
}

export interface RunResult {
  /** The exit code, or undefined when a signal ended it. */
  code: number | undefined
  stdout: string
  stderr: string
  /** Both streams in the order in which they came. */
  output: string
  timedOut: boolean
}

export interface Exit {
  code: number | undefined
  signal: NodeJS.Signals | undefined
}

export interface StartedProcess {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  /** Sends a signal to the process alone; false when it has ended already. */
  readonly kill: (signal?: NodeJS.Signals) => boolean
  readonly exited: Promise<Exit>
  /** Asks it to end, then kills it and its group after `seconds` (15). Resolves when it is gone. */
  readonly stop: (seconds?: number) => Promise<Exit>
}

/** The message holds the end of what the program said. */
class CommandError extends Error {
  readonly result: RunResult

  constructor(command: readonly string[], result: RunResult) {
    const how = result.timedOut ? 'took too long' : `ended with ${result.code ?? 'a signal'}`
    const said = result.output.trim().split('\n').slice(-6).join('\n')
    super(`${command.join(' ')} ${how}${said === '' ? '' : `: ${said}`}`)
    this.name = 'CommandError'
    this.result = result
  }
}

const alive = new Set<number>()

// The 'exit' event comes for every way to end but SIGKILL; the two signals are turned into one of those ways.
process.on('exit', () => {
  for (const pid of alive) killGroup(pid, 'SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]))
}

/** Runs a program to its end. @throws CommandError when it did not end with 0. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await attempt(command, args, options)
  if (result.code !== 0) throw new CommandError([command, ...args], result)
  return result
}

/** Runs a program to its end, whatever that is. Fails only when there is no such program. */
export async function attempt(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = spawnGroup(command, args, options, options.input === undefined ? 'ignore' : 'pipe')
  const said = collect(child, options.onOutput)
  let timedOut = false
  const timer = setTimeout(
    () => {
      timedOut = true
      if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL')
    },
    (options.seconds ?? 120) * 1000,
  )
  try {
    feed(child, options.input)
    const { code } = await exitOf(child)
    // A grandchild that outlives the program may hold its pipes open; what the program itself wrote is there by then.
    await Promise.race([outputEnds(child), sleep(2000, undefined, { ref: false })])
    return { code, stdout: said.stdout(), stderr: said.stderr(), output: said.output(), timedOut }
  } finally {
    clearTimeout(timer)
  }
}

/** Starts a program that goes on by itself, such as a server. Fails when there is no such program. */
export async function start(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<StartedProcess> {
  const child = spawnGroup(command, args, options, 'ignore')
  const said = collect(child, options.onOutput)
  const exited = exitOf(child)
  await Promise.race([spawned(child), exited])
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} could not be started`)
  return {
    pid,
    stdout: said.stdout,
    stderr: said.stderr,
    kill: (signal = 'SIGTERM') => child.kill(signal),
    exited,
    stop: async (seconds = 15) => {
      child.kill('SIGTERM')
      const timer = setTimeout(() => killGroup(pid, 'SIGKILL'), seconds * 1000)
      const exit = await exited
      clearTimeout(timer)
      // What it started in its group goes with it, even where it ended without looking after that.
      killGroup(pid, 'SIGKILL')
      return exit
    },
  }
}

/** Asks again and again until the answer is yes; fails after `seconds`, or as soon as `process` has ended. */
export async function untilReady(
  answers: () => Promise<boolean>,
  { process, what, seconds = 30 }: { process: StartedProcess; what: string; seconds?: number },
): Promise<void> {
  let ended: Exit | undefined
  void process.exited.then(exit => (ended = exit))
  const limit = Date.now() + seconds * 1000
  for (;;) {
    if (await answers().catch(() => false)) return
    if (ended !== undefined) {
      throw new Error(`${what} ended with ${ended.code ?? ended.signal} before it was ready:\n${lastWords(process)}`)
    }
    if (Date.now() > limit) throw new Error(`${what} was not ready after ${seconds} s:\n${lastWords(process)}`)
    await sleep(30)
  }
}

function lastWords(process: StartedProcess): string {
  return `${process.stdout()}${process.stderr()}`.trim().split('\n').slice(-20).join('\n')
}

function spawnGroup(
  command: string,
  args: readonly string[],
  options: RunOptions,
  stdin: 'ignore' | 'pipe',
): ChildProcess {
  const child = spawn(command, args, {
    detached: true,
    stdio: [stdin, 'pipe', 'pipe'],
    env: { ...process.env, PATH: programPath(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const { pid } = child
  if (pid !== undefined) {
    alive.add(pid)
    child.once('exit', () => alive.delete(pid))
  }
  return child
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // The group is gone: that is what was wanted.
  }
}

function feed(child: ChildProcess, input: string | Readable | undefined): void {
  const { stdin } = child
  if (stdin === null || input === undefined) return
  // A program may end without having read everything; its exit code tells how that went.
  stdin.on('error', () => {})
  if (typeof input === 'string') stdin.end(input)
  else input.pipe(stdin)
}

function collect(
  child: ChildProcess,
  onOutput: RunOptions['onOutput'],
): Record<'stdout' | 'stderr' | 'output', () => string> {
  const chunks: { from: 'stdout' | 'stderr'; bytes: Buffer }[] = []
  for (const from of ['stdout', 'stderr'] as const) {
    child[from]?.on('data', (bytes: Buffer) => {
      chunks.push({ from, bytes })
      onOutput?.(bytes, from)
    })
  }
  const text = (from?: 'stdout' | 'stderr') =>
    Buffer.concat(
      chunks.filter(chunk => from === undefined || chunk.from === from).map(chunk => chunk.bytes),
    ).toString()
  return { stdout: () => text('stdout'), stderr: () => text('stderr'), output: () => text() }
}

async function outputEnds(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr].filter(stream => stream !== null)
  await Promise.all(streams.map(stream => finished(stream).catch(() => {})))
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise(resolve => child.once('spawn', () => resolve()))
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }))
  })
}
