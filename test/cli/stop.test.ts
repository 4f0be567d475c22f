import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { start as launch } from '../../conformance/process.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { type BerthProcess, startBerth } from '../helpers/processes.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { type Connection, connectionOf, until } from '../http/connection.ts'

const mebibyte = 1024 * 1024

/** Berth on a database of the test's own, so that it starts fast. */
async function start(t: Test, http: Record<string, unknown> = {}): Promise<BerthProcess & { database: string }> {
  const database = await createTestDatabase(t, { migrate: migrateUrl })
  const config = { version: '0.1', storage: 'filesystem', log: { formatter: 'json' }, http }
  const berth = await startBerth(t, { config, env: { DB_URI: database } })
  return Object.assign(berth, { database })
}

async function openTo(t: Test, { host }: BerthProcess): Promise<Connection> {
  const [address = '', port = ''] = host.split(':')
  const socket = connect({ host: address, port: Number(port) })
  await once(socket, 'connect')
  t.teardown(() => socket.destroy())
  return connectionOf(socket)
}

/** Begins a PATCH of so many bytes and sends some of them. @returns the upload's path */
async function beginPatch(
  connection: Connection,
  berth: BerthProcess,
  { length, sent }: { length: number; sent: number },
) {
  const begun = await fetch(`${berth.url}/v2/a/blobs/uploads/`, { method: 'POST' })
  const path = new URL(begun.headers.get('location') ?? '').pathname
  connection.send(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
  connection.send(Buffer.alloc(sent))
  await until(async () => (await readdir(join(berth.data, 'uploads'))).length > 0)
  return path
}

const refused = async (url: string) => {
  const response = await fetch(url).catch(() => undefined)
  return response === undefined
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends it with status 0, and nothing is left`, async t => {
    const berth = await start(t)
    t.equal((await fetch(`${berth.url}/v2/`)).status, 200)
    berth.kill(signal)
    t.same(await berth.waitForExit(), { code: 0, signal: undefined })
    t.match(berth.stdout(), /"reason":"\w+","msg":"registry stops"/)
    t.ok(await refused(berth.url))
    t.equal(berth.stderr(), '')
  })
}

t.test('a request that is under way is finished, and no other is begun', async t => {
  const berth = await start(t)
  const connection = await openTo(t, berth)
  await beginPatch(connection, berth, { length: 2 * mebibyte, sent: mebibyte })
  berth.kill()
  await until(() => refused(berth.url))
  connection.send(Buffer.alloc(mebibyte))
  const answer = await connection.answer()
  t.equal(answer.status, 202)
  t.equal(answer.headers['range'], `0-${2 * mebibyte - 1}`)
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  t.notMatch(berth.stdout(), /cut off/)
})

t.test('after draintimeout what is left is cut off, and an upload keeps what came of it', async t => {
  const berth = await start(t, { draintimeout: '500ms' })
  const connection = await openTo(t, berth)
  const path = await beginPatch(connection, berth, { length: 8 * mebibyte, sent: 2 * mebibyte })
  await sleep(100)
  const began = performance.now()
  berth.kill()
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  const took = performance.now() - began
  t.ok(took >= 450 && took < 5_000, `${took} ms`)
  t.match(berth.stdout(), /"draintimeout":500,"msg":"requests that did not end in time were cut off"/)

  await berth.restart()
  const status = await fetch(berth.url + path)
  t.equal(status.headers.get('range'), `0-${2 * mebibyte - 1}`)
  const rest = await fetch(berth.url + path, { method: 'PATCH', body: Buffer.alloc(mebibyte) })
  t.equal(rest.status, 202, 'it is free for the next request at once')
})

t.test('who still has a connection while it drains is told that it is not ready', async t => {
  const berth = await start(t, { draintimeout: '20s' })
  const connection = await openTo(t, berth)
  await beginPatch(connection, berth, { length: 100, sent: 50 })
  berth.kill()
  await until(() => refused(berth.url))
  connection.send(Buffer.alloc(50))
  connection.send('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal((await connection.answer()).status, 202)
  const next = await connection.answer().catch(() => undefined)
  if (next !== undefined) t.match([next.status, next.body.toString()], [503, /shutting down/])
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
})

t.test('a signal ends a start that waits for the migration of another process', async t => {
  const database = await createTestDatabase(t)
  const other = new pg.Client({ connectionString: database })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('select pg_advisory_lock($1)', [0x62657274])
  const folder = t.testdir()
  const berth = await launch(process.execPath, ['server/main.ts', 'serve', 'conformance/empty.yml'], {
    env: { DB_URI: database, BERTH_DATA: folder, REGISTRY_HTTP_ADDR: '127.0.0.1:0' },
  })
  t.teardown(() => berth.stop(1))
  await until(async () => {
    const { rowCount } = await other.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`,
    )
    return rowCount === 1
  })
  berth.kill()
  t.same(await berth.exited, { code: 0, signal: undefined })
})

t.test('a second signal ends it at once', async t => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const berth = await start(t, { draintimeout: '1m' })
    const connection = await openTo(t, berth)
    await beginPatch(connection, berth, { length: 100, sent: 50 })
    berth.kill()
    await until(() => berth.stdout().includes('registry stops'))
    // The same wish once more, as some launchers pass it on.
    berth.kill()
    await sleep(700)
    const began = performance.now()
    berth.kill(signal)
    t.same(await berth.waitForExit(), { code, signal: undefined })
    t.ok(performance.now() - began < 2_000)
  }
})

t.test('with a Postgres of its own nothing of that is left either', async t => {
  const berth = await startBerth(t)
  t.equal((await fetch(`${berth.url}/v2/`)).status, 200)
  const before = await below(berth.data)
  t.ok(before.length > 0, 'there is a Postgres')
  berth.kill()
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  t.same(await below(berth.data), [])
})

/** Processes that name a folder on their command line. */
async function below(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(ids.map(id => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter(line => line.includes(folder))
}
