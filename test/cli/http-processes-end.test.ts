import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { start } from '../../conformance/process.ts'
import { digestOf } from '../../server/oci/digest.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { createAuthority } from '../http/certificates.ts'
import { until } from '../http/connection.ts'
import { openTo, openToEach, request, runs, type Served, type Several, startSeveral } from './several-processes.ts'
import { refuses } from './refuses.ts'

const mebibyte = 1024 * 1024

/** Begins a PATCH of so many bytes and sends some of them. @returns the upload's path */
async function beginPatch(
  connection: Served,
  berth: Several,
  { length, sent }: { length: number; sent: number },
): Promise<string> {
  const before = (await readdir(join(berth.data, 'uploads'))).length
  const begun = await request(connection, 'POST', '/v2/a/blobs/uploads/')
  const path = new URL(begun.headers['location'] ?? '').pathname
  connection.send(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
  connection.send(Buffer.alloc(sent))
  await until(async () => (await readdir(join(berth.data, 'uploads'))).length > before)
  return path
}

const refused = async ({ url }: Several) => (await fetch(url).catch(() => undefined)) === undefined

/** Everything of a Berth that runs: its HTTP processes, and what names its data folder. */
async function remains(berth: Several, children: readonly number[]): Promise<number[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const ours = await Promise.all(
    ids.map(async id => {
      const command = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')
      return (children.includes(id) || command.includes(berth.data)) && (await runs(id))
    }),
  )
  return ids.filter((_, index) => ours[index])
}

t.test('one that is killed breaks its own connections alone, and is replaced', async t => {
  const berth = await startSeveral(t, { workers: 2 })
  const [victim, other] = await openToEach(t, berth, 2)
  if (victim === undefined || other === undefined) throw new Error('there are no two processes')
  await beginPatch(victim, berth, { length: 2 * mebibyte, sent: mebibyte })
  const path = await beginPatch(other, berth, { length: 2 * mebibyte, sent: mebibyte })
  const reader = await openTo(t, berth)
  const survivor = reader.pid === other.pid ? reader : await openTo(t, berth)
  t.equal(survivor.pid, other.pid)

  let failed = 0
  const replaced = () => berth.stdout().includes('"msg":"http process serves"')
  // On connections of the other process, while it happens.
  const loading = (async () => {
    while (!replaced()) {
      const blob = randomBytes(300_000)
      const answer = await request(survivor, 'POST', `/v2/a/blobs/uploads/?digest=${digestOf(blob, 'sha256')}`, blob)
      if (answer.status !== 201) failed++
    }
  })()
  process.kill(victim.pid, 'SIGKILL')
  await victim.closed
  await t.rejects(victim.answer(), /connection ended/)
  await until(replaced, 30_000)
  other.send(Buffer.alloc(mebibyte))
  t.match(await other.answer(), { status: 202, headers: { range: `0-${2 * mebibyte - 1}` } })
  await loading
  t.equal(failed, 0)

  const ended = berth.lines().find(line => line['msg'] === 'http process ended, starting another')
  t.match(ended, { pid: berth.pid, process: victim.pid, reason: 'SIGKILL', level: 'error' })
  const now = await openToEach(t, berth, 2)
  t.equal(now.length, 2)
  for (const connection of now) {
    t.not(connection.pid, victim.pid)
    t.equal((await request(connection, 'GET', path)).headers['range'], `0-${2 * mebibyte - 1}`)
  }
})

t.test('what was under way with a killed one goes on with another', async t => {
  const berth = await startSeveral(t, { workers: 2, embedded: true })
  const [victim, other] = await openToEach(t, berth, 2)
  if (victim === undefined || other === undefined) throw new Error('there are no two processes')
  const blob = randomBytes(3 * mebibyte)
  const begun = await request(victim, 'POST', '/v2/a/blobs/uploads/')
  const path = new URL(begun.headers['location'] ?? '').pathname
  t.equal((await request(victim, 'PATCH', path, blob.subarray(0, 2 * mebibyte))).status, 202)
  process.kill(victim.pid, 'SIGKILL')
  await victim.closed
  const finish = `${path}?digest=${digestOf(blob, 'sha256')}`
  t.equal((await request(other, 'PUT', finish, blob.subarray(2 * mebibyte))).status, 201)
  t.same(await berth.stop(), { code: 0, signal: undefined })
})

t.test('a connection that was on its way to one that dies is closed, and not forgotten', async t => {
  const berth = await startSeveral(t, { workers: 2 })
  const [victim] = await openToEach(t, berth, 2)
  if (victim === undefined) throw new Error('there is none')
  process.kill(victim.pid, 'SIGSTOP')
  const [address = '', port = ''] = berth.host.split(':')
  const sockets = Array.from({ length: 6 }, () => connect({ host: address, port: Number(port) }))
  t.teardown(() => sockets.forEach(socket => socket.destroy()))
  let answered = 0
  const over = sockets.map(async socket => {
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.on('error', () => {})
    socket.on('data', () => answered++)
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await closed
  })
  await until(() => answered === 5)
  await sleep(200)
  t.equal(answered, 5, 'all but one went to the other process')
  process.kill(victim.pid, 'SIGKILL')
  await Promise.all(over)
  t.equal(answered, 5)
  t.same(await berth.stop(), { code: 0, signal: undefined })
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} to the whole group lets what is under way in each process end`, async t => {
    const berth = await startSeveral(t, { workers: 2 })
    const connections = await openToEach(t, berth, 2)
    const children = await berth.children()
    for (const connection of connections) await beginPatch(connection, berth, { length: 2 * mebibyte, sent: mebibyte })
    process.kill(-berth.pid, signal)
    await until(() => refused(berth))
    for (const connection of connections) {
      connection.send(Buffer.alloc(mebibyte))
      const answer = await connection.answer()
      t.match(answer, { status: 202, headers: { range: `0-${2 * mebibyte - 1}` } })
    }
    t.same(await berth.waitForExit(), { code: 0, signal: undefined })
    t.notMatch(berth.stdout(), /cut off|http process ended/)
    t.equal(berth.stderr(), '')
    t.same(await remains(berth, children), [])
  })
}

t.test('who connects while all stop does not have to wait', async t => {
  for (let round = 0; round < 5; round++) {
    const berth = await startSeveral(t, { workers: 2 })
    const [connection] = await openToEach(t, berth, 2)
    if (connection === undefined) throw new Error('there is none')
    await beginPatch(connection, berth, { length: 100, sent: 50 })
    const [address = '', port = ''] = berth.host.split(':')
    const over: Promise<number>[] = []
    const knock = async () => {
      const began = performance.now()
      const socket = connect({ host: address, port: Number(port) })
      t.teardown(() => socket.destroy())
      socket.on('error', () => {})
      socket.resume().write('GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      await new Promise(resolve => socket.once('close', resolve))
      return performance.now() - began
    }
    berth.kill()
    for (let count = 0; count < 150; count++) {
      over.push(knock())
      await sleep(1)
    }
    const slowest = Math.max(...(await Promise.all(over)))
    t.ok(slowest < 3_000, `${slowest} ms`)
    connection.send(Buffer.alloc(50))
    t.equal((await connection.answer()).status, 202)
    t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  }
})

t.test('after draintimeout what is left is cut off', async t => {
  const berth = await startSeveral(t, { workers: 2, http: { draintimeout: '500ms' } })
  const [connection] = await openToEach(t, berth, 2)
  if (connection === undefined) throw new Error('there is none')
  await beginPatch(connection, berth, { length: 8 * mebibyte, sent: 2 * mebibyte })
  const began = performance.now()
  berth.kill()
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  const took = performance.now() - began
  t.ok(took >= 450 && took < 8_000, `${took} ms`)
  const cut = berth.lines().filter(line => line['msg'] === 'requests that did not end in time were cut off')
  t.match(cut, [{ pid: connection.pid, draintimeout: 500 }])
})

t.test('a second signal ends all at once', async t => {
  const berth = await startSeveral(t, { workers: 2, http: { draintimeout: '1m' } })
  const children = await berth.children()
  const [connection] = await openToEach(t, berth, 2)
  if (connection === undefined) throw new Error('there is none')
  await beginPatch(connection, berth, { length: 100, sent: 50 })
  berth.kill()
  await until(() => berth.stdout().includes('registry stops'))
  await sleep(700)
  berth.kill('SIGINT')
  t.same(await berth.waitForExit(), { code: 130, signal: undefined })
  await until(async () => (await remains(berth, children)).length === 0)
})

t.test('when the first one is killed nothing stays, and the next start works', async t => {
  const berth = await startSeveral(t, { workers: 2, embedded: true })
  const children = await berth.children()
  const [connection] = await openToEach(t, berth, 2)
  if (connection === undefined) throw new Error('there is none')
  await beginPatch(connection, berth, { length: 8 * mebibyte, sent: 4 * mebibyte })
  t.ok((await remains(berth, children)).length > children.length, 'there is a Postgres')
  berth.kill('SIGKILL')
  t.same(await berth.waitForExit(), { code: undefined, signal: 'SIGKILL' })
  await until(async () => (await remains(berth, children)).length === 0, 10_000)
  await berth.restart()
  t.equal((await fetch(`${berth.url}/v2/`)).status, 200)
  t.same(await berth.stop(), { code: 0, signal: undefined })
})

t.test('one that ends at once again and again ends all', async t => {
  const authority = await createAuthority(join(t.testdir(), 'tls'))
  const pair = await authority.sign('server')
  const berth = await startSeveral(t, { workers: 2, tls: { ...pair, ca: authority.certificate } })
  const children = await berth.children()
  const [victim = 0] = children
  // Who serves stays with the certificate before it; who begins can't.
  await writeFile(pair.certificate, 'x')
  process.kill(victim, 'SIGKILL')
  t.same(await berth.waitForExit(), { code: 1, signal: undefined })
  t.match(
    berth.stderr(),
    /^berth: an HTTP process ended 6 times, each time at once, in the end with: http\.tls: OpenSSL can not use .*\n$/,
  )
  t.same(await remains(berth, children), [])
})

/** Berth must end with one sentence. */
async function refusesWorkers(t: Test, env: Record<string, string>, sentence: RegExp): Promise<void> {
  await refuses(t, { env: { BERTH_DATA: t.testdir(), ...env } }, sentence)
}

t.test('more connections to Postgres than it takes are refused at the start', async t => {
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  await refusesWorkers(
    t,
    { DB_URI, REGISTRY_HTTP_WORKERS: '4', REGISTRY_DATABASE_POOLSIZE: '500' },
    /^berth: 4 processes \(http\.workers\) with 500 connections each \(database\.poolsize\) are more than the \d+ connections that .*database\.url \(DB_URI\): set database\.poolsize to \d+ or less, or http\.workers lower, or raise its max_connections$/m,
  )
  await refusesWorkers(
    t,
    { REGISTRY_HTTP_WORKERS: '100' },
    /^berth: 100 processes \(http\.workers\) with 10 connections each .* more than the 990 connections that .* takes, the embedded one: set database\.poolsize to 9 or less, or http\.workers lower$/m,
  )
})

t.test('a number of processes that is none is refused', async t => {
  for (const [given, shown] of [
    ['0', '0'],
    ['-2', '-2'],
    ['1.5', '1.5'],
    ['1000', '1000'],
    ['many', '"many"'],
  ] as const) {
    const berth = await start(process.execPath, ['server/main.ts', 'config', 'check', 'conformance/empty.yml'], {
      env: { REGISTRY_HTTP_WORKERS: given },
    })
    t.equal((await berth.exited).code, 1)
    t.match(
      berth.stderr(),
      `http.workers: has to be a whole number from 1 to 256, or auto, not ${shown} (set by REGISTRY_HTTP_WORKERS)`,
    )
  }
})

t.test('the embedded Postgres takes as many connections as the processes open', async t => {
  const sections = { database: { poolsize: 30 } }
  const berth = await startSeveral(t, { workers: 2, embedded: true, sections })
  const connections = await Promise.all(Array.from({ length: 60 }, () => openTo(t, berth)))
  const answers = await Promise.all(connections.map(one => request(one, 'GET', '/v2/_catalog')))
  t.ok(answers.every(({ status }) => status === 200))
  const ready = await Promise.all(connections.map(one => request(one, 'GET', '/readyz')))
  t.ok(ready.every(({ status }) => status === 200))
  t.notMatch(berth.stdout(), /too many|remaining connection/)
})
