/** Berth with several HTTP processes, and who of them serves a connection. */
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { createTestDatabase } from '../helpers/postgres.ts'
import { type BerthOptions, type BerthProcess, startBerth } from '../helpers/processes.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { type Connection, connectionOf, until } from '../http/connection.ts'

export type Line = Record<string, unknown>

export interface Several extends BerthProcess {
  /** The whole lines of the log so far, each of which has to be JSON. */
  lines(): Line[]
  /** The processes that serve now. */
  children(): Promise<number[]>
}

export interface SeveralOptions extends Pick<BerthOptions, 'tls' | 'env' | 'data'> {
  workers: number | 'auto'
  http?: Record<string, unknown>
  /** Further sections of the configuration. */
  sections?: Record<string, unknown>
  /** With the Postgres that comes along; else with a database of the test's own. */
  embedded?: boolean
}

/** Starts it, and returns when all of its processes listen. */
export async function startSeveral(t: Test, options: SeveralOptions): Promise<Several> {
  const { workers, http, sections, embedded = false, env, ...rest } = options
  const database = embedded ? {} : { DB_URI: await createTestDatabase(t, { migrate: migrateUrl }) }
  const config = {
    version: '0.1',
    storage: 'filesystem',
    log: { formatter: 'json' },
    ...sections,
    http: { ...http, workers },
  }
  const berth = await startBerth(t, { ...rest, config, env: { ...database, ...env } })
  await until(() => berth.stdout().includes('"msg":"registry started"'), 30_000)
  return Object.assign(berth, {
    lines: () => linesOf(berth.stdout()),
    children: () => childrenOf(berth.pid),
  })
}

function linesOf(text: string): Line[] {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Line)
}

/** The processes of Node that another one has started. */
async function childrenOf(parent: number): Promise<number[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(
    ids.map(async id => {
      const [, state, ppid] = /\) (\S) (\d+) /.exec(await readFile(`/proc/${id}/stat`, 'utf8').catch(() => '')) ?? []
      const command = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')
      return state !== 'Z' && Number(ppid) === parent && command.includes('http-process.ts') ? [Number(id)] : []
    }),
  )
  return found.flat()
}

/** Whether a process runs. */
export async function runs(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return status !== '' && !/\) [ZX] /.test(status)
}

/** A connection, and the process that serves it. */
export interface Served extends Connection {
  pid: number
}

export async function openTo(t: Test, berth: Several): Promise<Served> {
  const [address = '', port = ''] = berth.host.split(':')
  const socket = connect({ host: address, port: Number(port) })
  await once(socket, 'connect')
  t.teardown(() => socket.destroy())
  const connection = connectionOf(socket)
  connection.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
  const { headers } = await connection.answer()
  return Object.assign(connection, { pid: await servedBy(berth, headers['x-request-id'] ?? '') })
}

/** The process that wrote the line about a request. */
export async function servedBy(berth: Several, id: string): Promise<number> {
  let line: Line | undefined
  await until(() => (line = berth.lines().find(line => line['id'] === id)) !== undefined)
  return Number(line?.['pid'])
}

/** One connection to each of so many processes. */
export async function openToEach(t: Test, berth: Several, count: number): Promise<Served[]> {
  const found = new Map<number, Served>()
  for (let tries = 0; found.size < count && tries < 10 * count; tries++) {
    const connection = await openTo(t, berth)
    if (found.has(connection.pid)) connection.close()
    else found.set(connection.pid, connection)
  }
  return [...found.values()]
}

/** A request without a body, or with this one. @returns the answer */
export function request(connection: Connection, method: string, path: string, body = Buffer.alloc(0), type?: string) {
  const typed = type === undefined ? '' : `Content-Type: ${type}\r\n`
  connection.send(`${method} ${path} HTTP/1.1\r\nHost: x\r\n${typed}Content-Length: ${body.length}\r\n\r\n`)
  if (body.length > 0) connection.send(body)
  return connection.answer({ method })
}
