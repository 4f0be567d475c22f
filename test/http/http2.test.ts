import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, stat } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { digestOf } from '../../server/oci/digest.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from '../helpers/registry.ts'
import { createAuthority, tlsFiles } from './certificates.ts'
import { firstError, until } from './connection.ts'

const authority = await createAuthority(join(t.testdir(), 'tls'))
const pair = await authority.sign('server')
const ca = await readFile(authority.certificate)
const mebibyte = 1024 * 1024

interface Client extends TestRegistry {
  session: ClientHttp2Session
}

async function start(t: Test, options: TestRegistryOptions = {}): Promise<Client> {
  const registry = await startRegistry(t, { tls: tlsFiles(pair), ...options })
  return { ...registry, session: await join2(t, registry.url) }
}

/** Resolves when the store has so many bytes of the one upload there is. */
async function untilStored({ root }: TestRegistry, bytes: number): Promise<void> {
  const folder = join(root, 'uploads')
  await until(async () => {
    const [file] = (await readdir(folder)).filter(name => !name.startsWith('.'))
    return file !== undefined && (await stat(join(folder, file))).size >= bytes
  })
}

async function join2(t: Test, url: string): Promise<ClientHttp2Session> {
  // What waits to be sent counts as memory of the session, of which Node's client wants little.
  const session = connect(url, { ca, settings: { initialWindowSize: mebibyte }, maxSessionMemory: 1000 })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  return session
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** Sends a request without a body or with one, and reads all of the answer. */
async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: Buffer): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return answerOf(stream)
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  return { status: headers[':status'], headers, body: await buffer(stream) }
}

const post = (path: string) => ({ ':method': 'POST', ':path': path })

t.test('HTTP/2 has the same answers as HTTP/1.1', async t => {
  const { session, url } = await start(t)
  const base = await ask(session, { ':path': '/v2/' })
  t.match(base, { status: 200, headers: { 'docker-distribution-api-version': 'registry/2.0' } })
  t.match(base.headers['x-request-id'], /^[0-9a-f-]{36}$/)
  const missing = await ask(session, { ':path': '/v2/a/manifests/latest' })
  t.equal(missing.status, 404)
  t.equal((await ask(session, { ':path': '/v2/', ':method': 'HEAD' })).status, 200)
  t.equal((await ask(session, { ':path': '/nothing' })).status, 404)
  t.match(await ask(session, { ':path': '/v2/', ':method': 'PUT' }), { status: 405, headers: { allow: 'GET, HEAD' } })
  const strange = await ask(session, { ':path': '/v2/', ':method': 'FOO' })
  t.match(strange, { status: 501, headers: { 'x-content-type-options': 'nosniff' } })
  t.equal(firstError(strange.body).code, 'UNSUPPORTED')
  t.match(await ask(session, post('/v2/a/blobs/uploads/')), {
    status: 202,
    headers: { location: new RegExp(`^${url}/`) },
  })
})

t.test('an upload and a download of 64 MiB keep their digest over HTTP/2, and HTTP/1.1 beside it', async t => {
  const { session, url } = await start(t)
  const bytes = randomBytes(64 * mebibyte)
  const digest = digestOf(bytes, 'sha256')

  const pushed = await ask(session, post(`/v2/two/blobs/uploads/?digest=${digest}`), bytes)
  t.equal(pushed.status, 201)
  const { location = '' } = (await ask(session, post('/v2/chunks/blobs/uploads/'))).headers
  const path = new URL(location).pathname
  for (let at = 0; at < bytes.length; at += 16 * mebibyte) {
    const answer = await ask(session, { ':method': 'PATCH', ':path': path }, bytes.subarray(at, at + 16 * mebibyte))
    t.match(answer, { status: 202, headers: { range: `0-${at + 16 * mebibyte - 1}` } })
  }
  t.equal((await ask(session, { ':method': 'PUT', ':path': `${path}?digest=${digest}` })).status, 201)
  t.equal(await digestOfStream(session.request({ ':path': `/v2/two/blobs/${digest}` })), digest)

  const agent = new Agent({ ca, keepAlive: true })
  t.teardown(() => agent.destroy())
  const upload = request(`${url}/v2/one/blobs/uploads/?digest=${digest}`, { method: 'POST', agent })
  const uploaded = once(upload, 'response')
  await pipeline(Readable.from(slices(bytes)), upload)
  const [created] = await uploaded
  t.equal(created.statusCode, 201)
  created.resume()
  const [download] = await once(request(`${url}/v2/chunks/blobs/${digest}`, { agent }).end(), 'response')
  t.equal(download.headers['content-length'], String(bytes.length))
  t.equal(await digestOfStream(download), digest)
})

t.test('100 uploads and 100 downloads at once on one session', async t => {
  const { session } = await start(t)
  const blobs = Array.from({ length: 100 }, () => randomBytes(200_000))
  const pushed = await Promise.all(
    blobs.map(bytes => ask(session, post(`/v2/many/blobs/uploads/?digest=${digestOf(bytes, 'sha256')}`), bytes)),
  )
  t.same(new Set(pushed.map(({ status }) => status)), new Set([201]))
  const large = randomBytes(mebibyte / 2)
  const digest = digestOf(large, 'sha256')
  t.equal((await ask(session, post(`/v2/many/blobs/uploads/?digest=${digest}`), large)).status, 201)
  const digests = await Promise.all(
    Array.from({ length: 100 }, () => digestOfStream(session.request({ ':path': `/v2/many/blobs/${digest}` }))),
  )
  t.same(new Set(digests), new Set([digest]))
})

t.test('with http2.disabled a client of HTTP/2 is served over HTTP/1.1', async t => {
  const { url } = await startRegistry(t, { tls: tlsFiles(pair), http2: false })
  const session = connect(url, { ca })
  const [error] = await once(session, 'error')
  t.ok(error, 'there is no HTTP/2')
  const agent = new Agent({ ca })
  t.teardown(() => agent.destroy())
  const [response] = await once(request(`${url}/v2/`, { agent }).end(), 'response')
  t.match(response, { statusCode: 200, httpVersion: '1.1' })
  response.resume()
})

/** Begins to send bytes to a new upload, without an end. @returns the path of the upload */
async function sendWithoutEnd(client: Client, bytes: Buffer): Promise<{ path: string; stream: ClientHttp2Stream }> {
  const { location = '' } = (await ask(client.session, post('/v2/a/blobs/uploads/'))).headers
  const path = new URL(location).pathname
  const stream = client.session.request({ ':method': 'PATCH', ':path': path }, { endStream: false })
  stream.on('error', () => {})
  stream.write(bytes)
  await untilStored(client, bytes.length - mebibyte)
  return { path, stream }
}

/** Waits until an upload that was broken off is free, sends the rest of the bytes, and ends it. */
async function goOn(
  session: ClientHttp2Session,
  path: string,
  bytes: Buffer,
): Promise<{ came: number; status: number }> {
  let came = 0
  await until(async () => {
    const { headers } = await ask(session, { ':path': path })
    came = Number(String(headers['range']).slice(2)) + 1
    return came > 1
  })
  await ask(session, { ':method': 'PATCH', ':path': path }, bytes.subarray(came))
  const { status } = await ask(session, { ':method': 'PUT', ':path': `${path}?digest=${digestOf(bytes, 'sha256')}` })
  return { came, status }
}

t.test('what came of an upload that was reset stays, and the session goes on', async t => {
  const client = await start(t)
  const bytes = randomBytes(3 * mebibyte)
  const { path, stream } = await sendWithoutEnd(client, bytes)
  stream.destroy(new Error('changed its mind'))
  const { came, status } = await goOn(client.session, path, bytes)
  t.ok(came >= 2 * mebibyte, `${came} bytes stayed`)
  t.equal(status, 201)
})

t.test('a session that breaks off in the middle of an upload leaves its bytes to the next', async t => {
  const client = await start(t)
  const bytes = randomBytes(3 * mebibyte)
  const { path } = await sendWithoutEnd(client, bytes)
  client.session.destroy()
  const { came, status } = await goOn(await join2(t, client.url), path, bytes)
  t.ok(came >= 2 * mebibyte, `${came} bytes stayed`)
  t.equal(status, 201)
})

t.test('a whole blob in one request that is reset makes no blob', async t => {
  const client = await start(t)
  const bytes = randomBytes(3 * mebibyte)
  const digest = digestOf(bytes, 'sha256')
  const stream = client.session.request(post(`/v2/a/blobs/uploads/?digest=${digest}`), { endStream: false })
  stream.on('error', () => {})
  stream.write(bytes.subarray(0, 2 * mebibyte))
  await untilStored(client, mebibyte)
  stream.destroy(new Error('changed its mind'))
  await until(async () => (await readdir(join(client.root, 'uploads'))).length === 0)
  t.equal((await ask(client.session, { ':path': `/v2/a/blobs/${digest}` })).status, 404)
})

t.test('downloads that are not taken leave room for other requests of their session', async t => {
  const { session } = await start(t)
  const bytes = randomBytes(2 * mebibyte)
  const digest = digestOf(bytes, 'sha256')
  t.equal((await ask(session, post(`/v2/a/blobs/uploads/?digest=${digest}`), bytes)).status, 201)
  const streams = Array.from({ length: 100 }, () => session.request({ ':path': `/v2/a/blobs/${digest}` }))
  await Promise.all(streams.map(stream => once(stream, 'response')))
  t.equal((await ask(session, { ':path': '/v2/' })).status, 200)
  t.same(new Set(await Promise.all(streams.map(digestOfStream))), new Set([digest]))
})

t.test('a refused upload whose body is still coming gets its answer, and hangs neither stream nor session', async t => {
  const { session } = await start(t, { access: { readOnly: true } })
  const bytes = Buffer.alloc(8 * mebibyte)
  for (let turn = 0; turn < 3; turn++) {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => {
        const stream = session.request(post(`/v2/a/blobs/uploads/?digest=${digestOf(bytes, 'sha256')}`))
        stream.on('error', () => {})
        stream.end(bytes)
        return answerOf(stream)
      }),
    )
    t.same(new Set(answers.map(({ status }) => status)), new Set([405]))
    t.equal(
      answers.every(({ body }) => firstError(body).code === 'UNSUPPORTED'),
      true,
    )
  }
  t.equal((await ask(session, { ':path': '/v2/' })).status, 200)
})

t.test('an upload that is refused while its client says nothing more is over at once', async t => {
  const { session } = await start(t)
  const stream = session.request(post('/v2/a/blobs/uploads/?digest=sha256:bad'), { endStream: false })
  stream.on('error', () => {})
  stream.write(Buffer.alloc(1000))
  const { status, body } = await answerOf(stream)
  t.equal(status, 400)
  t.equal(firstError(body).code, 'DIGEST_INVALID')
  t.equal((await ask(session, { ':path': '/v2/' })).status, 200)
})

t.test('a client that never ends a refused upload has its stream taken away, and no other', async t => {
  const { session } = await start(t, { access: { readOnly: true } })
  const stream = session.request(post('/v2/a/blobs/uploads/'), { endStream: false })
  stream.on('error', () => {})
  const closed = once(stream, 'close')
  t.equal((await answerOf(stream)).status, 405)
  await closed
  t.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR)
  t.equal((await ask(session, { ':path': '/v2/' })).status, 200)
})

t.test('a manifest that grows too large is refused on the way', async t => {
  const { session } = await start(t)
  const stream = session.request({ ':method': 'PUT', ':path': '/v2/a/manifests/large' }, { endStream: false })
  stream.on('error', () => {})
  stream.end(Buffer.alloc(6 * mebibyte, 32))
  t.equal((await answerOf(stream)).status, 413)
  t.equal((await ask(session, { ':path': '/v2/' })).status, 200)
})

t.test('a client that takes nothing of an answer is cut off', async t => {
  const { session } = await start(t, { silenceMs: 200 })
  const bytes = randomBytes(16 * mebibyte)
  const digest = digestOf(bytes, 'sha256')
  t.equal((await ask(session, post(`/v2/a/blobs/uploads/?digest=${digest}`), bytes)).status, 201)
  const stream = session.request({ ':path': `/v2/a/blobs/${digest}` })
  stream.on('error', () => {})
  await once(stream, 'response')
  await once(stream, 'close')
  t.equal((await ask(session, { ':path': '/v2/' })).status, 200)
})

t.test('CONNECT and strange expectations are refused in the envelope', async t => {
  const { session } = await start(t, { headers: { 'X-House': ['ours'] } })
  const tunnel = session.request({ ':method': 'CONNECT', ':authority': 'elsewhere:443' })
  const refused = await answerOf(tunnel)
  t.match(refused, { status: 405, headers: { 'x-house': 'ours' } })
  t.equal(firstError(refused.body).code, 'UNSUPPORTED')
  const odd = await ask(session, { ':path': '/v2/', expect: 'wonders' })
  t.match(odd, { status: 417, headers: { 'x-house': 'ours' } })
  t.equal(firstError(odd.body).code, 'UNSUPPORTED')
  t.equal((await ask(session, { ':path': '/v2/', expect: '100-continue' })).status, 200)
})

async function digestOfStream(stream: Readable): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(stream, hash)
  return `sha256:${hash.digest('hex')}`
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
