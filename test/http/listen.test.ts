import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createApp } from '../../server/http/app.ts'
import { drain } from '../../server/http/drain.ts'
import { listen } from '../../server/http/listen.ts'
import { serverCreator } from '../../server/http/server.ts'
import { silentLog } from '../../server/lib/log.ts'
import { frameworkLog, startRegistry } from '../helpers/registry.ts'
import { connectionOf } from './connection.ts'

/** Another face of a registry, which does not listen yet. */
async function createFace(t: Test) {
  const { services } = await startRegistry(t)
  const app = await createApp({
    services,
    log: frameworkLog,
    accessLog: false,
    locations: { host: undefined, prefix: '/', relative: false },
    access: { readOnly: false, deletes: true },
    headers: {},
    directReads: false,
    createServer: serverCreator({ tls: undefined, http2: false, log: silentLog }),
  })
  t.teardown(() => drain(app, 0))
  return app
}

/** A folder whose path is short enough for a socket. */
async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-'))
  t.teardown(() => rm(folder, { recursive: true }))
  return folder
}

const askRoot = 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'

t.test('it tells the URL that it listens on, with the port that the system chose', async t => {
  const app = await createFace(t)
  const addresses = await listen(app, { host: '127.0.0.1', port: 0 })
  t.match(addresses, [/^http:\/\/127\.0\.0\.1:[1-9]\d*$/])
  t.equal((await fetch(`${addresses[0]}/v2/`)).status, 200)
})

t.test('without a host it listens on every interface', async t => {
  const app = await createFace(t)
  const [address = ''] = await listen(app, { port: 0 })
  t.match(address, /^http:\/\/(\[::\]|0\.0\.0\.0):\d+$/)
  const { port } = new URL(address)
  t.equal((await fetch(`http://127.0.0.1:${port}/v2/`)).status, 200)
  if (address.includes('[::]')) t.equal((await fetch(`http://[::1]:${port}/v2/`)).status, 200)
})

t.test('on IPv6 alone', async t => {
  const app = await createFace(t)
  const addresses = await listen(app, { host: '::1', port: 0 }).catch(() => undefined)
  if (addresses === undefined) {
    t.comment('this machine has no IPv6')
    return
  }
  t.match(addresses, [/^http:\/\/\[::1\]:\d+$/])
  t.equal((await fetch(`${addresses[0]}/v2/`)).status, 200)
})

t.test('a port that is taken is told with what to do', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const address = other.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const app = await createFace(t)
  await t.rejects(listen(app, { host: '127.0.0.1', port }), {
    message: `127.0.0.1:${port} is taken by another program: stop that one, or set http.addr (REGISTRY_HTTP_ADDR)`,
  })
})

t.test('an address that is not of this machine is told with what to do', async t => {
  const app = await createFace(t)
  await t.rejects(listen(app, { host: '192.0.2.1', port: 0 }), {
    message: /^192\.0\.2\.1:0 is no address of this machine: .*http\.addr/,
  })
})

t.test('a socket in the file system', async t => {
  const path = join(await folderFor(t), 'berth.sock')
  const app = await createFace(t)
  t.same(await listen(app, { path }), [path])
  const connection = connectionOf(connect(path))
  connection.send(askRoot)
  t.equal((await connection.answer()).status, 200)
  connection.send('POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: registry.test\r\nContent-Length: 0\r\n\r\n')
  t.match((await connection.answer()).headers['location'], /^http:\/\/registry\.test\/v2\/a\//)
  connection.close()
  await drain(app, 1_000)
  t.notOk(existsSync(path), 'it goes with the server')
})

t.test('a socket that a killed process left is taken over', async t => {
  const path = join(await folderFor(t), 'berth.sock')
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.ok((await stat(path)).isSocket())
  const app = await createFace(t)
  t.same(await listen(app, { path }), [path])
})

t.test('a socket that someone listens on is left alone', async t => {
  const path = join(await folderFor(t), 'berth.sock')
  const other = createServer(socket => socket.on('error', () => {}).end('other')).listen(path)
  await once(other, 'listening')
  t.teardown(() => other.close())
  const app = await createFace(t)
  await t.rejects(listen(app, { path }), { message: new RegExp(`^${path} is taken by another program`) })
  const [said] = await once(connect(path), 'data')
  t.equal(String(said), 'other')
})

t.test('a file that is no socket is left alone', async t => {
  const path = join(await folderFor(t), 'important.txt')
  await writeFile(path, 'important')
  const app = await createFace(t)
  await t.rejects(listen(app, { path }), { message: /important\.txt is a file, and no socket: .*http\.addr/ })
  t.equal(await readFile(path, 'utf8'), 'important')
})

t.test('a folder that is not there is told', async t => {
  const path = join(await folderFor(t), 'missing', 'berth.sock')
  const app = await createFace(t)
  await t.rejects(listen(app, { path }), { message: /berth\.sock can not be made: .*folder/ })
})

t.test('a path that is too long for a socket is told', async t => {
  const path = join(await folderFor(t), 'x'.repeat(120))
  const app = await createFace(t)
  await t.rejects(listen(app, { path }), { message: /is too long for the path of a socket: .*http\.addr/ })
})
