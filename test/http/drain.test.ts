import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { drain } from '../../server/http/drain.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'
import { startRegistry, type TestRegistryOptions } from '../helpers/registry.ts'
import { createAuthority, tlsFiles } from './certificates.ts'
import { type Connection, connectionOf, open } from './connection.ts'

const authority = await createAuthority(join(t.testdir(), 'tls'))
const tls = tlsFiles(await authority.sign('server'))
const ca = await readFile(authority.certificate)
const mebibyte = 1024 * 1024

/** A registry whose store waits for a word before it takes anything. */
async function startSlow(t: Test, options: TestRegistryOptions = {}) {
  const gate = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  const registry = await startRegistry(t, {
    ...options,
    wrapDriver: driver => ({
      ...driver,
      async createUpload() {
        reached.resolve()
        await gate.promise
        return driver.createUpload()
      },
    }),
  })
  return { ...registry, gate, reached }
}

async function connectTo(t: Test, url: string): Promise<Connection> {
  if (url.startsWith('http:')) return open(url)
  const socket = connectTls({ host: '127.0.0.1', port: Number(new URL(url).port), ca })
  await once(socket, 'secureConnect')
  t.teardown(() => socket.destroy())
  return connectionOf(socket)
}

const get = 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'

async function beginUpload(connection: Connection): Promise<string> {
  connection.send('POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  return new URL((await connection.answer()).headers['location'] ?? '').pathname
}

const patch = (path: string, length: number) => `PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`

for (const [what, options] of [
  ['plain HTTP', {}],
  ['TLS', { tls, http2: false }],
  ['TLS with HTTP/2 beside', { tls, http2: true }],
] as [string, TestRegistryOptions][]) {
  t.test(`${what}: connections that ask nothing are closed at once`, async t => {
    const { app, url } = await startRegistry(t, options)
    const used = await connectTo(t, url)
    used.send(get)
    await used.answer()
    const unused = await connectTo(t, url)
    const began = performance.now()
    t.equal(await drain(app, 60_000), true)
    await Promise.all([used.closed, unused.closed])
    t.ok(performance.now() - began < 5_000)
    await t.rejects(connectTo(t, url))
  })

  t.test(`${what}: a request under way gets its answer, and then its connection is closed`, async t => {
    const { app, url, gate, reached } = await startSlow(t, options)
    const connection = await connectTo(t, url)
    const path = await beginUpload(connection)
    connection.send(patch(path, 10))
    await reached.promise
    const drained = drain(app, 60_000)
    connection.send('0123456789')
    await sleep(100)
    gate.resolve()
    t.equal((await connection.answer()).status, 202)
    t.equal(await drained, true)
    await connection.closed
  })

  t.test(`${what}: what does not end in time is cut off, and what came of it is written down`, async t => {
    const { app, url, services } = await startRegistry(t, options)
    const connection = await connectTo(t, url)
    const path = await beginUpload(connection)
    connection.send(patch(path, 8 * mebibyte))
    connection.send(Buffer.alloc(2 * mebibyte))
    await sleep(200)
    const began = performance.now()
    t.equal(await drain(app, 300), false)
    t.ok(performance.now() - began < 3_000)
    await connection.closed
    const [, repository = '', id = ''] = /^\/v2\/(a)\/blobs\/uploads\/(.*)$/.exec(path) ?? []
    const place = { repository: parseRepositoryName(repository), by: { kind: 'everyone' } } as const
    const upload = await services.uploads.status(place, id)
    t.equal(upload.offset, 2 * mebibyte)
  })
}

async function startSession(t: Test, url: string): Promise<ClientHttp2Session> {
  const session = connectHttp2(url, { ca })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  return session
}

t.test('HTTP/2: a session that asks nothing is closed at once', async t => {
  const { app, url } = await startRegistry(t, { tls })
  const session = await startSession(t, url)
  const closed = once(session, 'close')
  t.equal(await drain(app, 60_000), true)
  await closed
})

t.test('HTTP/2: a request under way gets its answer', async t => {
  const { app, url, gate, reached } = await startSlow(t, { tls })
  const session = await startSession(t, url)
  const begin = session.request({ ':method': 'POST', ':path': '/v2/a/blobs/uploads/' }, { endStream: true })
  const [{ location }] = await once(begin, 'response')
  begin.resume()
  const stream = session.request({ ':method': 'PATCH', ':path': new URL(String(location)).pathname })
  stream.end('0123456789')
  await reached.promise
  const drained = drain(app, 60_000)
  await sleep(100)
  gate.resolve()
  const [answer] = await once(stream, 'response')
  stream.resume()
  t.equal(answer[':status'], 202)
  t.equal(await drained, true)
})

t.test('HTTP/2: what does not end in time is cut off', async t => {
  const { app, url } = await startRegistry(t, { tls })
  const session = await startSession(t, url)
  const stream = session.request(
    { ':method': 'POST', ':path': '/v2/a/blobs/uploads/?digest=sha256:' + 'a'.repeat(64) },
    { endStream: false },
  )
  stream.on('error', () => {})
  stream.write(Buffer.alloc(1000))
  await sleep(100)
  const closed = once(session, 'close')
  t.equal(await drain(app, 200), false)
  await closed
})

t.test('a handshake that was never ended does not keep it longer than the time', async t => {
  const { app, url } = await startRegistry(t, { tls })
  const socket = connectTcp({ host: '127.0.0.1', port: Number(new URL(url).port) })
  await once(socket, 'connect')
  await fetch(url).catch(() => {})
  const closed = once(socket, 'close')
  socket.resume()
  socket.on('error', () => {})
  t.equal(await drain(app, 200), false)
  await closed
})

t.test('a time that is longer than a timer can take is a long time, and not none', async t => {
  const { app, url, gate, reached } = await startSlow(t)
  const connection = await connectTo(t, url)
  const path = await beginUpload(connection)
  connection.send(`${patch(path, 10)}0123456789`)
  await reached.promise
  const drained = drain(app, 1000 * 3_600_000)
  await sleep(100)
  gate.resolve()
  t.equal((await connection.answer()).status, 202)
  t.equal(await drained, true)
})

t.test('an operation that hangs though its client is gone is given up after a few seconds', async t => {
  const { app, url, gate, reached } = await startSlow(t)
  const connection = await connectTo(t, url)
  const path = await beginUpload(connection)
  connection.send(`${patch(path, 10)}0123456789`)
  await reached.promise
  const began = performance.now()
  t.equal(await drain(app, 100), false)
  const took = performance.now() - began
  t.ok(took > 4_000 && took < 8_000, `${took} ms`)
  gate.resolve()
})
