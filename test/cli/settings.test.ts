import { once } from 'node:events'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { ask } from '../../conformance/http.ts'
import { start } from '../../conformance/process.ts'
import { digestOf } from '../../server/oci/digest.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startBerth } from '../helpers/processes.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { createAuthority } from '../http/certificates.ts'
import { connectionOf, until } from '../http/connection.ts'
import { mountTmpfs } from '../storage-drivers/tmpfs.ts'

t.test('what the configuration says of HTTP and of health is what the process does', async t => {
  const folder = t.testdir()
  const authority = await createAuthority(join(folder, 'tls'))
  const { certificate, key } = await authority.sign('server')
  const tls = { certificate, key, ca: authority.certificate }
  const down = join(folder, 'down')
  const berth = await startBerth(t, {
    tls,
    env: { DB_URI: await createTestDatabase(t, { migrate: migrateUrl }) },
    config: {
      version: '0.1',
      storage: { filesystem: {}, maintenance: { readonly: { enabled: true } } },
      log: { formatter: 'json' },
      http: { relativeurls: true, headers: { 'X-House': ['ours'] } },
      health: { storagedriver: { enabled: true, interval: '50ms' }, file: [{ file: down, interval: '50ms' }] },
    },
  })
  const base = await ask(`${berth.url}/v2/`, tls)
  t.match(base, { status: 200, headers: { 'x-house': 'ours' } })
  t.equal((await ask(`${berth.url}/v2/a/blobs/uploads/`, { ...tls, method: 'POST' })).status, 405)
  const session = connectHttp2(berth.url, { ca: await readFile(authority.certificate) })
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/v2/' })
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 200)
  stream.resume()

  const status = async (path: string) => (await ask(berth.url + path, tls)).status
  await writeFile(down, '')
  await until(async () => (await status('/v2/')) === 503)
  const ready = await ask(`${berth.url}/readyz`, tls)
  t.equal(ready.status, 503)
  t.match(JSON.parse(ready.body.toString()), { checks: { [down]: 'the file exists', storagedriver_filesystem: 'ok' } })
  t.match([await status('/'), await status('/livez')], [200, 200])
  await rm(down)
  await until(async () => (await status('/v2/')) === 200)
  t.match(berth.stdout(), /"msg":"health check fails"/)
  t.match(berth.stdout(), /"msg":"health check passes again"/)
  t.notMatch(berth.stdout(), /server listens at http:/i)
})

t.test('started with the bare path of a file it serves, here on a socket, which goes with it', async t => {
  const folder = t.testdir()
  // The path of a socket is short; the folder of a test may not be.
  const path = `/tmp/berth-${process.pid}.sock`
  const berth = await start(process.execPath, ['server/main.ts', 'conformance/empty.yml'], {
    env: {
      DB_URI: await createTestDatabase(t, { migrate: migrateUrl }),
      BERTH_DATA: folder,
      REGISTRY_HTTP_NET: 'unix',
      REGISTRY_HTTP_ADDR: path,
      REGISTRY_HTTP_PREFIX: '/my/',
    },
  })
  t.teardown(() => berth.stop(1))
  await until(() => berth.stdout().includes('Berth serves at'), 30_000)
  t.match(berth.stdout(), `Berth serves at ${path}, below /my/\n`)
  t.ok((await stat(path)).isSocket())
  const connection = connectionOf(connect(path))
  connection.send('GET /my/v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal((await connection.answer()).status, 200)
  connection.close()
  t.same(await berth.stop(), { code: 0, signal: undefined })
  await t.rejects(stat(path), { code: 'ENOENT' })
})

t.test('on a full disk it starts, and serves what it has; a push is refused with 507', async t => {
  const data = await mountTmpfs(t, 'size=4m')
  if (data === undefined) return
  const berth = await startBerth(t, { data, env: { DB_URI: await createTestDatabase(t, { migrate: migrateUrl }) } })
  const bytes = randomBytes(100_000)
  const digest = digestOf(bytes, 'sha256')
  const push = (body: Buffer) =>
    fetch(`${berth.url}/v2/a/blobs/uploads/?digest=${digestOf(body, 'sha256')}`, {
      method: 'POST',
      body: new Uint8Array(body),
    })
  t.equal((await push(bytes)).status, 201)
  for (let full = false, count = 0; !full; count++)
    full = await writeFile(join(data, `file-${count}`), Buffer.alloc(200_000)).then(
      () => false,
      () => true,
    )

  const refused = await push(randomBytes(100_000))
  t.equal(refused.status, 507)
  t.match(await refused.json(), { errors: [{ code: 'INSUFFICIENT_STORAGE' }] })
  await berth.restart()
  t.equal((await fetch(`${berth.url}/v2/a/blobs/${digest}`)).status, 200)
  t.equal((await push(randomBytes(100_000))).status, 507)
  for (let count = 0; count < 5; count++) await rm(join(data, `file-${count}`))
  t.equal((await push(randomBytes(100_000))).status, 201, 'with room again, without a restart')
})
