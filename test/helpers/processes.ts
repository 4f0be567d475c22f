/** Berth as a process of its own, for what only a process shows: signals, exit codes, kill -9, what stays on disk. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { freePort, serve, type ServeOptions } from '../../conformance/berth.ts'
import { ask } from '../../conformance/http.ts'
import { type Exit, start, type StartedProcess, untilReady } from '../../conformance/process.ts'
import { projectFolder } from '../../conformance/programs.ts'

export interface BerthOptions extends Pick<ServeOptions, 'env' | 'port' | 'tls' | 'address'> {
  /** A configuration, written as YAML to the file that `serve` is started with; an empty one when left out. */
  config?: unknown
  /** The data folder: a new one when left out, which is removed after the test. */
  data?: string
}

export interface BerthProcess {
  readonly url: string
  /** `address:port` */
  readonly host: string
  /** Of the process that runs now. */
  readonly pid: number
  readonly data: string
  /** All that the process which runs now has written. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Sends a signal to it alone, SIGTERM when left out; what it started is not asked. */
  readonly kill: (signal?: NodeJS.Signals) => void
  readonly waitForExit: () => Promise<Exit>
  /** Ends it gently, with SIGTERM, and waits for that. */
  readonly stop: () => Promise<Exit>
  /** Starts it again on the same data and port, after ending it when it runs; returns when it answers. */
  readonly restart: () => Promise<void>
}

/**
 * Starts Berth as a user would, on a free port of the loopback interface, and returns when it answers. It brings its
 * own Postgres unless `env` or `config` name another. It ends with the test, whatever the test did to it.
 */
export async function startBerth(t: Test, options: BerthOptions = {}): Promise<BerthProcess> {
  const { config, ...rest } = options
  const folder = join(tmpdir(), `berth-test-${randomUUID().slice(0, 8)}`)
  await mkdir(folder, { mode: 0o755 })
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const data = options.data ?? join(folder, 'data')
  const configFile = join(folder, 'config.yml')
  if (config !== undefined) await writeFile(configFile, stringify(config))
  const settings = { ...rest, data, ...(config === undefined ? {} : { config: configFile }) }

  let running = await serve(settings)
  t.teardown(() => running.stop())
  const { url, host, port } = running
  return {
    url,
    host,
    data,
    get pid() {
      return running.pid
    },
    stdout: () => running.stdout(),
    stderr: () => running.stderr(),
    kill: signal => void running.kill(signal),
    waitForExit: () => running.exited,
    stop: () => running.stop(),
    async restart() {
      await running.stop()
      running = await serve({ ...settings, port })
    },
  }
}

export interface ProgramOptions {
  /** The data folder. */
  data: string
  /** The port to listen on, on 127.0.0.1; a free one when left out. */
  port?: number
  /** Added to the environment. */
  env?: Record<string, string>
  /** A command that runs the program: `setpriv` with its options, say. */
  prefix?: readonly string[]
}

export interface Program extends StartedProcess {
  readonly url: string
  readonly port: number
  /** Milliseconds from the start to the first answer. */
  readonly readyMs: number
}

/**
 * Starts the program just as `npm start` does, and without the code that tap puts into every Node that a test starts:
 * for what measures its time and its memory. Does not wait. It is killed with the test.
 */
export async function launchProgram(t: Test, options: ProgramOptions): Promise<StartedProcess & { port: number }> {
  const port = options.port ?? (await freePort())
  const settings = Object.keys(process.env).filter(name => /^(REGISTRY|BERTH)_|^DB_URI$/.test(name))
  const [command, ...args] = [
    ...(options.prefix ?? []),
    'env',
    ...['NODE_OPTIONS', ...settings].map(name => `--unset=${name}`),
    `BERTH_DATA=${options.data}`,
    `REGISTRY_HTTP_ADDR=127.0.0.1:${port}`,
    ...Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`),
    process.execPath,
    '--max-semi-space-size=8',
    '--heap-growing-percent=40',
    join(projectFolder, 'server/main.ts'),
    'serve',
    '--no-search',
  ]
  const started = await start(command, args, { cwd: projectFolder })
  let ended = false
  void started.exited.then(() => (ended = true))
  // Once it has ended, its id may be another's.
  t.teardown(() => (ended ? undefined : started.stop()))
  return { ...started, port }
}

/** The same, and returns when it answers. */
export async function startProgram(t: Test, options: ProgramOptions): Promise<Program> {
  const began = performance.now()
  const started = await launchProgram(t, options)
  const url = `http://127.0.0.1:${started.port}`
  await untilReady(async () => (await ask(`${url}/v2/`)).status === 200, {
    process: started,
    what: 'Berth',
    seconds: 60,
  })
  return { ...started, url, readyMs: performance.now() - began }
}
