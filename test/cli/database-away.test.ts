import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import t, { type Test } from 'tap'
import { digestOf } from '../../server/oci/digest.ts'
import { createTestDatabase, urlOf } from '../helpers/postgres.ts'
import { startBerth } from '../helpers/processes.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { until } from '../http/connection.ts'

/** Stands before a Postgres, as a network does: it can be cut and joined again. */
interface Gate {
  /** The database by way of the gate. */
  url: string
  /** Breaks all connections, and refuses new ones. */
  cut: () => Promise<void>
  join: () => Promise<void>
}

async function openGate(t: Test, databaseUrl: string): Promise<Gate> {
  const { host, port, user, password, database } = new pg.Client({ connectionString: databaseUrl })
  const target = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer(socket => {
    const upstream = connect(target)
    keep(socket)
    keep(upstream)
    socket.pipe(upstream).pipe(socket)
    socket.once('close', () => upstream.destroy())
    upstream.once('close', () => socket.destroy())
  })
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return address.port
  }
  const cut = async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  const at = await listen(0)
  t.teardown(() => (server.listening ? cut() : undefined))
  return {
    url: urlOf({ user, password, host: '127.0.0.1', port: at, database }),
    cut,
    join: async () => void (await listen(at)),
  }
}

const status = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init)
  await response.arrayBuffer()
  return response.status
}

t.test('a database that goes away and comes back: 503 with Retry-After, then all is well again', async t => {
  const gate = await openGate(t, await createTestDatabase(t, { migrate: migrateUrl }))
  const config = { version: '0.1', storage: 'filesystem', log: { formatter: 'json' } }
  const berth = await startBerth(t, { config, env: { DB_URI: gate.url } })
  const { url, pid } = berth
  const bytes = randomBytes(100_000)
  const digest = digestOf(bytes, 'sha256')
  const push = { method: 'POST', body: bytes }
  t.equal(await status(`${url}/v2/a/blobs/uploads/?digest=${digest}`, push), 201)
  const begun = await fetch(`${url}/v2/a/blobs/uploads/`, { method: 'POST' })
  const upload = begun.headers.get('location') ?? ''

  await gate.cut()
  const requests: [string, RequestInit][] = [
    [`${url}/v2/a/blobs/${digest}`, {}],
    [`${url}/v2/a/manifests/latest`, {}],
    [`${url}/v2/a/tags/list`, {}],
    [`${url}/v2/_catalog`, {}],
    [`${url}/v2/b/blobs/uploads/`, { method: 'POST' }],
    [`${url}/v2/b/blobs/uploads/?digest=${digest}`, push],
    [upload, { method: 'PATCH', body: bytes }],
    [upload, {}],
  ]
  for (const [path, init] of requests) {
    const response = await fetch(path, init)
    t.equal(response.status, 503, `${init.method ?? 'GET'} ${path}`)
    t.match(response.headers.get('retry-after'), /^\d+$/)
    const body = await response.text()
    t.match(JSON.parse(body), { errors: [{ code: 'UNAVAILABLE', message: /database can not be reached/ }] })
    t.notMatch(body, /127\.0\.0\.1/, 'nothing of its whereabouts')
  }
  t.equal(await status(`${url}/v2/`), 200)
  t.equal(await status(`${url}/`), 200)
  t.equal(await status(`${url}/livez`), 200)
  const unready = await fetch(`${url}/readyz`)
  t.equal(unready.status, 503)
  t.match(await unready.json(), { checks: { database: /can not be reached/, storage: 'ok' } })

  await gate.join()
  await until(async () => (await status(`${url}/readyz`)) === 200)
  t.equal(await status(`${url}/v2/a/blobs/${digest}`), 200)
  t.equal(await status(upload, { method: 'PATCH', body: bytes }), 202)
  t.equal(await status(`${upload}?digest=${digest}`, { method: 'PUT' }), 201)
  t.equal(await status(`${url}/v2/b/blobs/uploads/?digest=${digest}`, push), 201)
  t.equal(berth.pid, pid, 'the same process')
  berth.kill()
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  t.notMatch(berth.stdout(), new RegExp(new URL(gate.url).password))
  t.equal(berth.stderr(), '')
})

t.test('it stops in time while the database is away', async t => {
  const gate = await openGate(t, await createTestDatabase(t, { migrate: migrateUrl }))
  const berth = await startBerth(t, { env: { DB_URI: gate.url } })
  t.equal(await status(`${berth.url}/readyz`), 200)
  await gate.cut()
  const began = performance.now()
  berth.kill()
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  t.ok(performance.now() - began < 5_000)
})
