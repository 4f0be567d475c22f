import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import pino from 'pino'
import t, { type Test } from 'tap'
import { digestOf } from '../../server/oci/digest.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from '../helpers/registry.ts'
import { createAuthority, tlsFiles } from './certificates.ts'
import { openBelow } from '../storage-drivers/open-files.ts'
import { open, until } from './connection.ts'

const authority = await createAuthority(join(t.testdir(), 'tls'))

interface Line {
  level: number
  msg: string
  id?: string
  method?: string
  path?: string
  status?: number
  ms?: number
  received?: number
  sent?: number
  client?: string
  agent?: string
  forwarded?: string
  repository?: string
}

interface Logged extends TestRegistry {
  lines: Line[]
  /** The lines about requests, once there are so many. */
  requests: (count: number) => Promise<Line[]>
  text: () => string
}

async function startLogged(t: Test, level = 'info', options: TestRegistryOptions = {}): Promise<Logged> {
  const lines: Line[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)))
      done()
    },
  })
  const log = pino({ level, base: {} }, destination)
  const registry = await startRegistry(t, { log, requestLog: log, ...options })
  const about = () => lines.filter(line => line.msg === 'request' || line.msg === 'request broken off')
  return {
    ...registry,
    lines,
    text: () => JSON.stringify(lines),
    async requests(count) {
      await until(() => about().length >= count)
      return about()
    },
  }
}

t.test('a request is one line, with all that is known of it', async t => {
  const { url, requests } = await startLogged(t)
  const headers = { 'user-agent': 'tester/1', 'x-forwarded-for': '192.0.2.7, 10.0.0.1' }
  const response = await fetch(`${url}/v2/a/b/tags/list?n=1`, { headers })
  const body = await response.text()
  const [line, ...others] = await requests(1)
  t.same(others, [])
  const { ms = -1, ...rest } = line ?? { level: 0, msg: '' }
  t.ok(ms > 0 && ms < 10_000)
  t.match(rest, {
    level: 30,
    msg: 'request',
    id: response.headers.get('x-request-id') ?? '',
    method: 'GET',
    path: '/v2/a/b/tags/list?n=1',
    status: 404,
    received: 0,
    sent: Buffer.byteLength(body),
    client: '127.0.0.1',
    agent: 'tester/1',
    forwarded: '192.0.2.7, 10.0.0.1',
    repository: 'a/b',
  })
})

t.test('a manifest counts by its bytes, whatever they are as text', async t => {
  const { url, requests } = await startLogged(t)
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [],
    annotations: { title: 'Schlüssel für Übungen' },
  })
  const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' }
  t.equal((await fetch(`${url}/v2/a/manifests/v1`, { method: 'PUT', headers, body: manifest })).status, 201)
  t.equal(await (await fetch(`${url}/v2/a/manifests/v1`)).text(), manifest)
  const lines = await requests(2)
  t.equal(lines.find(({ method }) => method === 'GET')?.sent, Buffer.byteLength(manifest))
})

t.test('bytes are counted as they come and go, whatever a header says', async t => {
  const { url, requests } = await startLogged(t)
  const bytes = randomBytes(3_000_000)
  const digest = digestOf(bytes, 'sha256')
  const upload = `${url}/v2/a/blobs/uploads/?digest=${digest}`
  const blob = `${url}/v2/a/blobs/${digest}`
  const chunked = { method: 'POST', body: Readable.toWeb(Readable.from([bytes])), duplex: 'half' } as RequestInit
  t.equal((await fetch(upload, chunked)).status, 201)
  t.equal((await fetch(upload, { method: 'POST', body: bytes })).status, 201)
  await (await fetch(blob)).arrayBuffer()
  await (await fetch(blob, { headers: { range: 'bytes=0-99' } })).arrayBuffer()
  await (await fetch(blob, { headers: { range: 'bytes=0-99,200-299' } })).arrayBuffer()
  await fetch(blob, { method: 'HEAD' })
  await fetch(blob, { headers: { 'if-none-match': `"${digest}"` } })
  const lines = await requests(7)
  t.same(
    lines.map(({ status, received }) => [status, received]),
    [
      [201, bytes.length],
      [201, bytes.length],
      [200, 0],
      [206, 0],
      [206, 0],
      [200, 0],
      [304, 0],
    ],
  )
  const sent = lines.map(line => line.sent)
  t.same(sent.slice(0, 4), [0, 0, bytes.length, 100])
  t.ok((sent[4] ?? 0) > 200 && (sent[4] ?? 0) < 700, 'two parts with their heads')
  t.same(sent.slice(5), [0, 0])
})

t.test('of a request that is broken off it tells how far it came', async t => {
  const { url, requests, root } = await startLogged(t)
  const bytes = randomBytes(32_000_000)
  const digest = digestOf(bytes, 'sha256')
  t.equal((await fetch(`${url}/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes })).status, 201)

  const upload = await open(url)
  upload.send(
    'POST /v2/a/blobs/uploads/?digest=sha256:' + 'a'.repeat(64) + ' HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n',
  )
  upload.send(Buffer.alloc(100))
  await until(() => openBelow(root).length > 0)
  upload.close()
  await requests(2)

  const download = await open(url)
  download.socket.pause()
  download.send(`GET /v2/a/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await once(download.socket, 'readable')
  download.close()
  const [, broken, cut] = await requests(3)
  t.match(broken, {
    msg: 'request broken off',
    method: 'POST',
    received: 100,
    sent: 0,
    client: '127.0.0.1',
    repository: 'a',
  })
  t.notOk(broken && 'status' in broken, 'there was no answer')
  t.match(cut, { msg: 'request broken off', status: 200, received: 0 })
  t.ok((cut?.sent ?? 0) < bytes.length)
})

t.test('over HTTP/2 the lines are the same', async t => {
  const { url, requests } = await startLogged(t, 'info', { tls: tlsFiles(await authority.sign('server')) })
  const ca = await readFile(authority.certificate)
  const session = connectHttp2(url, { ca })
  t.teardown(() => session.destroy())
  const bytes = randomBytes(1_000_000)
  const digest = digestOf(bytes, 'sha256')
  const upload = session.request({ ':method': 'POST', ':path': `/v2/a/blobs/uploads/?digest=${digest}` })
  upload.end(bytes)
  await once(upload, 'response')
  upload.resume()
  await once(upload, 'close')
  const download = session.request({ ':path': `/v2/a/blobs/${digest}`, 'user-agent': 'two/2' })
  t.equal((await buffer(download)).length, bytes.length)
  const broken = session.request({ ':path': `/v2/a/blobs/${digest}` })
  broken.on('error', () => {})
  await once(broken, 'response')
  broken.destroy(new Error('enough'))
  const lines = await requests(3)
  t.match(lines, [
    {
      msg: 'request',
      method: 'POST',
      status: 201,
      received: bytes.length,
      sent: 0,
      client: '127.0.0.1',
      repository: 'a',
    },
    {
      msg: 'request',
      method: 'GET',
      status: 200,
      received: 0,
      sent: bytes.length,
      agent: 'two/2',
      client: '127.0.0.1',
    },
    { msg: 'request broken off', method: 'GET', status: 200, client: '127.0.0.1' },
  ])
})

t.test('a URL that can not be decoded and a path of no route have their line too', async t => {
  const { url, requests } = await startLogged(t)
  await fetch(`${url}/%zz`)
  await fetch(`${url}/nowhere`)
  await fetch(`${url}/v2/`, { method: 'DELETE' })
  t.match(await requests(3), [
    { path: '/%zz', status: 400 },
    { path: '/nowhere', status: 404 },
    { path: '/v2/', status: 405, method: 'DELETE' },
  ])
})

t.test('probes are told on the level debug alone, unless they fail', async t => {
  const quiet = await startLogged(t)
  for (const path of ['/', '/livez', '/readyz']) await fetch(quiet.url + path)
  quiet.services.health.beginShutdown()
  await fetch(`${quiet.url}/readyz`)
  t.match(await quiet.requests(1), [{ path: '/readyz', status: 503 }])

  const loud = await startLogged(t, 'debug')
  for (const path of ['/', '/livez', '/readyz']) await fetch(loud.url + path)
  t.match(await loud.requests(3), [{ path: '/' }, { path: '/livez' }, { path: '/readyz' }])
})

t.test('nothing secret, and no more than is bearable, of what a client sends', async t => {
  const { url, requests, text } = await startLogged(t, 'debug')
  const secrets = {
    authorization: 'Basic c2VjcmV0OnNlY3JldA==',
    cookie: 'session=secret',
    'proxy-authorization': 'secret',
  }
  await fetch(`${url}/v2/`, { headers: { ...secrets, 'user-agent': 'x'.repeat(5_000) } })
  await fetch(`${url}/v2/${'y'.repeat(10_000)}`)
  const [first, second] = await requests(2)
  t.equal(first?.agent?.length, 300)
  t.equal(second?.path?.length, 1000)
  t.notMatch(text(), /c2VjcmV0|secret/)
})

t.test('a failure is told with its reason, under the id that the client got', async t => {
  const { url, lines, requests } = await startLogged(t, 'info', {
    wrapDriver: driver => ({ ...driver, createUpload: () => Promise.reject(new Error('the disk is on fire')) }),
  })
  const response = await fetch(`${url}/v2/a/blobs/uploads/?digest=sha256:${'a'.repeat(64)}`, {
    method: 'POST',
    body: 'x',
  })
  t.equal(response.status, 500)
  t.notMatch(await response.text(), /fire/)
  await requests(1)
  const id = response.headers.get('x-request-id') ?? ''
  t.match(
    lines.find(line => line.msg === 'request failed'),
    { level: 50, id, err: { message: 'the disk is on fire' } },
  )
})

t.test('a download that the store breaks off is told as a failure', async t => {
  const bytes = randomBytes(1_000_000)
  const digest = digestOf(bytes, 'sha256')
  const { url, lines, requests } = await startLogged(t, 'info', {
    wrapDriver: driver => ({
      ...driver,
      openObject: async key => {
        const object = await driver.openObject?.(key)
        if (object === undefined) throw new Error('this driver opens no objects')
        let reads = 0
        return {
          ...object,
          read: (buffers, position) =>
            ++reads < 3 ? object.read(buffers, position) : Promise.reject(new Error('the disk has come off')),
        }
      },
    }),
  })
  t.equal((await fetch(`${url}/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes })).status, 201)
  await t.rejects(async () => (await fetch(`${url}/v2/a/blobs/${digest}`)).arrayBuffer())
  await requests(2)
  await until(() => lines.some(line => line.msg === 'answer broken off'))
  t.match(
    lines.find(line => line.msg === 'answer broken off'),
    { level: 50, err: { message: 'the disk has come off' } },
  )
})
