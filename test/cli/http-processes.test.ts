import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask } from '../../conformance/http.ts'
import { start } from '../../conformance/process.ts'
import { digestOf } from '../../server/oci/digest.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { createAuthority } from '../http/certificates.ts'
import { connectionOf, until } from '../http/connection.ts'
import { openTo, openToEach, request, type Served, servedBy, type Several, startSeveral } from './several-processes.ts'

const mebibyte = 1024 * 1024
const ascending = (a: number, b: number) => a - b
const imageType = 'application/vnd.oci.image.manifest.v1+json'

t.test('one address is served by as many processes as are asked for', async t => {
  const berth = await startSeveral(t, { workers: 3 })
  const connections = await openToEach(t, berth, 3)
  const serving = connections.map(({ pid }) => pid).toSorted(ascending)
  t.same(serving, (await berth.children()).toSorted(ascending))
  t.equal(serving.length, 3)
  t.notOk(serving.includes(berth.pid), 'the first one serves nothing itself')
  for (const path of ['/livez', '/readyz']) {
    for (const connection of connections) t.equal((await request(connection, 'GET', path)).status, 200)
  }

  const lines = berth.lines()
  t.ok(
    lines.every(line => typeof line['pid'] === 'number'),
    'each line names a process',
  )
  const started = lines.filter(line => line['msg'] === 'registry started')
  t.match(started, [{ pid: berth.pid, addresses: [berth.url], processes: 3 }])
  t.equal(started.length, 1)
  berth.kill()
  t.same(await berth.waitForExit(), { code: 0, signal: undefined })
  t.equal(berth.stderr(), '')
  t.equal(berth.lines().filter(line => line['msg'] === 'registry stops').length, 1)
})

t.test('connections are given to the processes in turn', async t => {
  const berth = await startSeveral(t, { workers: 2 })
  const counts = new Map<number, number>()
  for (let count = 0; count < 10; count++) {
    const { pid } = await openTo(t, berth)
    counts.set(pid, (counts.get(pid) ?? 0) + 1)
  }
  t.same([...counts.values()], [5, 5])
})

/** A push whose requests come to different processes, and pulls of it from all. */
async function pushAcross(t: Test, berth: Several): Promise<void> {
  const [one, other] = await openToEach(t, berth, 2)
  if (one === undefined || other === undefined) throw new Error('there are no two processes')
  const parts = [randomBytes(3 * mebibyte), randomBytes(2 * mebibyte), randomBytes(mebibyte)] as const
  const blob = Buffer.concat(parts)
  const digest = digestOf(blob, 'sha256')
  const begun = await request(one, 'POST', '/v2/a/blobs/uploads/')
  t.equal(begun.status, 202)
  const path = new URL(begun.headers['location'] ?? '').pathname
  t.equal((await request(other, 'PATCH', path, parts[0])).status, 202)
  t.equal((await request(one, 'PATCH', path, parts[1])).status, 202)
  t.equal((await request(one, 'GET', path)).headers['range'], `0-${5 * mebibyte - 1}`)
  t.equal((await request(other, 'PUT', `${path}?digest=${digest}`, parts[2])).status, 201)
  for (const connection of [one, other]) {
    const pulled = await request(connection, 'GET', `/v2/a/blobs/${digest}`)
    t.equal(pulled.status, 200)
    t.ok(pulled.body.equals(blob))
    t.equal((await request(connection, 'GET', path)).status, 404, 'the upload is over')
  }

  const manifestOf = (version: number) =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: imageType,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', size: blob.length, digest },
        layers: [],
        annotations: { version: String(version) },
      }),
    )
  // What one process has in memory must not hide what another one has done.
  for (let version = 0; version < 5; version++) {
    const writer: Served = version % 2 === 0 ? one : other
    const reader = writer === one ? other : one
    const manifest = manifestOf(version)
    t.equal((await request(writer, 'PUT', '/v2/a/manifests/latest', manifest, imageType)).status, 201)
    t.same((await request(reader, 'GET', '/v2/a/manifests/latest')).body, manifest)
  }
  t.equal((await request(one, 'DELETE', '/v2/a/manifests/latest')).status, 202)
  t.equal((await request(other, 'GET', '/v2/a/manifests/latest')).status, 404)

  const unused = randomBytes(1000)
  const unusedPath = `/v2/a/blobs/${digestOf(unused, 'sha256')}`
  const pushPath = `/v2/a/blobs/uploads/?digest=${digestOf(unused, 'sha256')}`
  t.equal((await request(one, 'POST', pushPath, unused)).status, 201)
  t.equal((await request(other, 'HEAD', unusedPath)).status, 200)
  t.equal((await request(one, 'DELETE', unusedPath)).status, 202)
  t.equal((await request(other, 'HEAD', unusedPath)).status, 404)
}

t.test('what one process was told the others know, with a database of the operator', async t => {
  await pushAcross(t, await startSeveral(t, { workers: 2 }))
})

t.test('what one process was told the others know, with the Postgres that comes along', async t => {
  const berth = await startSeveral(t, { workers: 2, embedded: true })
  await pushAcross(t, berth)
  t.same(await berth.stop(), { code: 0, signal: undefined })
})

t.test('large bodies are read past the parser here too', async t => {
  const berth = await startSeveral(t, { workers: 2 })
  const connections = await openToEach(t, berth, 2)
  const uploads = connections.map(async connection => {
    for (let count = 0; count < 5; count++) {
      const blob = randomBytes(4 * mebibyte + count)
      const digest = digestOf(blob, 'sha256')
      t.equal((await request(connection, 'POST', `/v2/a/blobs/uploads/?digest=${digest}`, blob)).status, 201)
      t.ok((await request(connection, 'GET', `/v2/a/blobs/${digest}`)).body.equals(blob))
    }
  })
  await Promise.all(uploads)
  t.notMatch(berth.stdout(), /ordinary way/)
})

t.test('auto is one process for each core', async t => {
  const cores = availableParallelism()
  const berth = await startSeveral(t, { workers: 'auto' })
  t.equal((await berth.children()).length, cores === 1 ? 0 : cores)
})

t.test('one process is one process', async t => {
  const berth = await startSeveral(t, { workers: 1 })
  t.same(await berth.children(), [])
  const { headers } = await ask(`${berth.url}/v2/`)
  await until(() => berth.lines().some(line => line['id'] === headers['x-request-id']))
  t.ok(berth.lines().every(line => !('pid' in line)))
})

t.test('the environment says it too', async t => {
  const berth = await startSeveral(t, { workers: 1, env: { REGISTRY_HTTP_WORKERS: '2' } })
  t.equal((await berth.children()).length, 2)
})

t.test('TLS and HTTP/2 are the same with several', async t => {
  const folder = t.testdir()
  const authority = await createAuthority(join(folder, 'tls'))
  const pair = await authority.sign('server')
  const berth = await startSeveral(t, { workers: 2, tls: { ...pair, ca: authority.certificate } })
  const ca = await readFile(authority.certificate)
  const [first, second] = [connectHttp2(berth.url, { ca }), connectHttp2(berth.url, { ca })]
  const pids = []
  for (const session of [first, second]) {
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/v2/' })
    const [headers] = await once(stream, 'response')
    t.equal(headers[':status'], 200)
    stream.resume()
    await once(stream, 'close')
    pids.push(await servedBy(berth, String(headers['x-request-id'])))
  }
  t.same(pids.toSorted(ascending), (await berth.children()).toSorted(ascending))

  const blob = randomBytes(mebibyte)
  const digest = digestOf(blob, 'sha256')
  const options = { ca: authority.certificate, method: 'POST', body: blob }
  t.equal((await ask(`${berth.url}/v2/a/blobs/uploads/?digest=${digest}`, options)).status, 201)
  t.ok((await ask(`${berth.url}/v2/a/blobs/${digest}`, { ca: authority.certificate })).body.equals(blob))
})

t.test('a socket that a killed process left is taken over, and goes with the processes', async t => {
  // The path of a socket is short; the folder of a test may not be.
  const path = `/tmp/berth-several-${process.pid}.sock`
  // Its file stays behind, as that of a process that was killed.
  const left = await start(process.execPath, ['-e', `net.createServer().listen('${path}', () => console.log('on'))`])
  await until(() => left.stdout() !== '')
  left.kill('SIGKILL')
  await left.exited
  t.ok((await stat(path)).isSocket())
  const berth = await start(process.execPath, ['server/main.ts', 'conformance/empty.yml'], {
    env: {
      DB_URI: await createTestDatabase(t, { migrate: migrateUrl }),
      BERTH_DATA: t.testdir(),
      REGISTRY_HTTP_NET: 'unix',
      REGISTRY_HTTP_ADDR: path,
      REGISTRY_HTTP_WORKERS: '3',
    },
  })
  t.teardown(() => berth.stop(1))
  await until(() => berth.stdout().includes('Berth serves at'), 30_000)
  t.equal(berth.stdout().split('Berth serves at').length, 2, 'the banner is there once')
  for (let count = 0; count < 6; count++) {
    const connection = connectionOf(connect(path))
    connection.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    t.equal((await connection.answer()).status, 200)
    connection.close()
  }
  const pids = new Set(berth.stdout().match(/(?<="pid":)\d+(?=,"id")/g))
  t.equal(pids.size, 3, 'lines for people name the process too')
  t.same(await berth.stop(), { code: 0, signal: undefined })
  await t.rejects(stat(path), { code: 'ENOENT' })
})

t.test('lines of several processes do not mix, however many there are', async t => {
  const berth = await startSeveral(t, { workers: 2 })
  const connections = await openToEach(t, berth, 2)
  const rounds = 200
  const path = `/v2/${'long/'.repeat(40)}`
  await Promise.all(
    connections.map(async (connection, index) => {
      for (let count = 0; count < rounds; count++) {
        connection.send(
          `GET ${path}${index * rounds + count}/tags/list HTTP/1.1\r\nHost: x\r\nUser-Agent: ${'a'.repeat(300)}\r\n\r\n`,
        )
      }
      for (let count = 0; count < rounds; count++) await connection.answer()
    }),
  )
  // Each is parsed.
  const told = () => berth.lines().filter(line => String(line['path']).startsWith('/v2/long/')).length
  await until(() => told() === 2 * rounds)
})

t.test('each process looks at the checks of health', async t => {
  const down = join(t.testdir(), 'down')
  const sections = { health: { file: [{ file: down, interval: '50ms' }] } }
  const berth = await startSeveral(t, { workers: 2, sections })
  const connections = await openToEach(t, berth, 2)
  const all = async (path: string, status: number) => {
    for (const connection of connections) {
      await until(async () => (await request(connection, 'GET', path)).status === status)
    }
  }
  await writeFile(down, '')
  await all('/v2/', 503)
  await all('/readyz', 503)
  await rm(down)
  await all('/v2/', 200)
  t.pass('both answered')
})

t.test('any port is one port, which stays when all of them end', async t => {
  const berth = await start(process.execPath, ['server/main.ts', 'serve', 'conformance/empty.yml'], {
    env: {
      DB_URI: await createTestDatabase(t, { migrate: migrateUrl }),
      BERTH_DATA: t.testdir(),
      REGISTRY_HTTP_ADDR: '127.0.0.1:0',
      REGISTRY_HTTP_WORKERS: '2',
      REGISTRY_LOG_FORMATTER: 'json',
    },
  })
  t.teardown(() => berth.stop(1))
  await until(() => berth.stdout().includes('"msg":"registry started"'), 30_000)
  const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(berth.stdout()) ?? []
  const pids = new Set<string>()
  const askAll = async () => {
    for (let count = 0; count < 4; count++) t.equal((await ask(`${url}/v2/`)).status, 200)
    for (const [pid] of berth.stdout().matchAll(/(?<="pid":)\d+(?=,"id")/g)) pids.add(pid)
  }
  await until(async () => (await ask(`${url}/v2/`).catch(() => undefined))?.status === 200)
  await askAll()
  await until(async () => (await askAll(), pids.size === 2))
  for (const pid of pids) process.kill(Number(pid), 'SIGKILL')
  await until(() => (berth.stdout().match(/"msg":"http process serves"/g) ?? []).length === 2, 30_000)
  await askAll()
  await until(async () => (await askAll(), pids.size === 4))
  t.same(await berth.stop(), { code: 0, signal: undefined })
})

t.test('a port that is taken is told once', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const address = other.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const env = {
    DB_URI: await createTestDatabase(t, { migrate: migrateUrl }),
    BERTH_DATA: t.testdir(),
    REGISTRY_HTTP_ADDR: `127.0.0.1:${address.port}`,
    REGISTRY_HTTP_WORKERS: '2',
    REGISTRY_LOG_LEVEL: 'error',
  }
  const berth = await start(process.execPath, ['server/main.ts', 'serve', 'conformance/empty.yml'], { env })
  t.same(await berth.exited, { code: 1, signal: undefined })
  t.match(berth.stderr(), /^berth: 127\.0\.0\.1:\d+ is taken by another program: stop that one, or set http\.addr.*\n$/)
})
