import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { Agent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { digestOf } from '../../../server/oci/digest.ts'
import { defaults, startRegistry, type TestRegistry } from '../../helpers/registry.ts'
import { openBelow, until } from '../../storage-drivers/open-files.ts'
import { createAuthority, tlsFiles } from '../certificates.ts'
import { type Connection, firstError, open } from '../connection.ts'
import { begin, has, offsetOf } from './uploads-client.ts'

/** Uploads that are large enough to be read past Node's parser, with all that HTTP may do around a body. */

const mebibyte = 1024 * 1024
const name = 'large/blobs'

function blob(size: number) {
  const bytes = randomBytes(size)
  return { bytes, digest: digestOf(bytes, 'sha256') }
}

const head = (method: string, path: string, headers: string[]) =>
  `${method} ${path} HTTP/1.1\r\n${['Host: registry.test', ...headers].join('\r\n')}\r\n\r\n`

const post = (digest: string, length: number, headers: string[] = []) =>
  head('POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, [`Content-Length: ${length}`, ...headers])

const get = head('GET', '/v2/', [])

function chunked(bytes: Buffer, size: number, tail = '\r\n'): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size)
    parts.push(Buffer.from(`${part.length.toString(16)};ext=1\r\n`), part, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${tail}`)])
}

async function openTo(t: Test, { url }: Pick<TestRegistry, 'url'>): Promise<Connection> {
  const connection = await open(url)
  t.teardown(() => connection.close())
  return connection
}

/** Resolves with whether something was answered within the time. */
async function isAnswered(answer: Promise<unknown>, ms: number): Promise<boolean> {
  return Promise.race([answer.then(() => true), sleep(ms, false)])
}

const registry = await startRegistry(t)

t.test('requests behind a large body are answered in their order', async t => {
  const connection = await openTo(t, registry)
  const first = blob(2 * mebibyte)
  const second = blob(mebibyte)
  connection.send(post(first.digest, first.bytes.length))
  connection.send(first.bytes)
  connection.send(get + post(second.digest, second.bytes.length))
  connection.send(second.bytes)
  connection.send(get)
  const statuses = []
  for (let count = 0; count < 4; count++) statuses.push((await connection.answer()).status)
  t.strictSame(statuses, [201, 200, 201, 200])
  t.ok(await has(registry, name, first))
  t.ok(await has(registry, name, second))
})

t.test('one connection takes many large uploads, with pauses and other requests between', async t => {
  const connection = await openTo(t, registry)
  for (let count = 0; count < 25; count++) {
    const content = blob(300_000 + count)
    const upload = new URL(await begin(registry, name)).pathname
    connection.send(head('PATCH', upload, [`Content-Length: ${content.bytes.length}`]))
    connection.send(content.bytes)
    t.equal((await connection.answer()).status, 202)
    if (count % 5 === 0) await sleep(50)
    connection.send(head('PUT', `${upload}?digest=${content.digest}`, ['Content-Length: 0']))
    t.equal((await connection.answer()).status, 201)
    if (count % 8 === 0) t.ok(await has(registry, name, content))
  }
})

t.test('chunks, extensions and trailers: the blob has the payload and nothing else', async t => {
  const connection = await openTo(t, registry)
  const content = blob(3 * mebibyte)
  for (const size of [997, 65_536, 4 * mebibyte]) {
    connection.send(
      head('POST', `/v2/${name}/blobs/uploads/?digest=${content.digest}`, [
        'Transfer-Encoding: chunked',
        'Trailer: X-Sum',
      ]),
    )
    connection.send(chunked(content.bytes, size, 'X-Sum: abc\r\nX-Other: d\r\n\r\n'))
    connection.send(get)
    t.equal((await connection.answer()).status, 201)
    t.equal((await connection.answer()).status, 200)
    t.ok(await has(registry, name, content))
  }
})

t.test('a client that closes its side behind a large body gets its answer', async t => {
  const content = blob(2 * mebibyte)
  const connection = await openTo(t, registry)
  connection.send(post(content.digest, content.bytes.length))
  connection.socket.end(content.bytes)
  // Node's own way owes such a client no answer.
  if (defaults.directReads) t.equal((await connection.answer()).status, 201)
  await connection.closed
  t.ok(await until(() => has(registry, name, content), Boolean))
})

t.test('a client that closes its side in the middle leaves what it sent', async t => {
  const connection = await openTo(t, registry)
  const upload = await begin(registry, name)
  connection.send(head('PATCH', new URL(upload).pathname, [`Content-Length: ${4 * mebibyte}`]))
  connection.socket.end(Buffer.alloc(mebibyte))
  await connection.closed
  t.equal(
    await until(
      () => offsetOf(upload),
      offset => offset === mebibyte,
    ),
    mebibyte,
  )
})

t.test('chunks that break off in their coding leave what came before, and the client is told', async t => {
  const connection = await openTo(t, registry)
  const upload = await begin(registry, name)
  connection.send(head('PATCH', new URL(upload).pathname, ['Transfer-Encoding: chunked']))
  connection.send(`${(300_000).toString(16)}\r\n`)
  connection.send(Buffer.alloc(300_000))
  connection.send('\r\nnot a size\r\n')
  t.equal((await connection.answer()).status, 400)
  await connection.closed
  t.equal(
    await until(
      () => offsetOf(upload),
      offset => offset === 300_000,
    ),
    300_000,
  )
})

for (const size of [1000, mebibyte]) {
  t.test(`"Expect: 100-continue" with ${size} bytes: the client is told to send when its body is wanted`, async t => {
    const content = blob(size)
    const connection = await openTo(t, registry)
    for (let count = 0; count < 2; count++) {
      connection.send(post(content.digest, size, ['Expect: 100-continue']))
      t.equal((await connection.answer()).status, 100)
      connection.send(content.bytes)
      t.equal((await connection.answer()).status, 201)
    }
    t.ok(await has(registry, name, content))
  })

  t.test(
    `"Expect: 100-continue" with ${size} bytes: a refusal is the only answer, and the connection ends`,
    async t => {
      for (const path of [
        `/v2/${name}/blobs/uploads/?digest=sha256:bad`,
        `/v2/${name}/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=sha256:${'a'.repeat(64)}`,
        '/v2/NOT/A/NAME/blobs/uploads/',
      ]) {
        for (const more of [[], ['Connection: close']]) {
          const connection = await openTo(t, registry)
          const method = path.includes('0000') ? 'PUT' : 'POST'
          connection.send(head(method, path, [`Content-Length: ${size}`, 'Expect: 100-continue', ...more]))
          const began = performance.now()
          const { status, headers, body } = await connection.answer()
          t.ok(status >= 400 && status < 500, `${status}`)
          t.match(firstError(body).code, /^[A-Z_]+$/)
          t.equal(headers['connection'], 'close')
          await connection.closed
          t.ok(performance.now() - began < 3_000, 'nobody waited for the body')
        }
      }
    },
  )

  t.test(`"Expect: 100-continue" with ${size} bytes: one that sends at once is served as well`, async t => {
    const content = blob(size)
    const connection = await openTo(t, registry)
    connection.send(post(content.digest, size, ['Expect: 100-continue']))
    connection.send(content.bytes)
    let { status } = await connection.answer()
    if (status === 100) ({ status } = await connection.answer())
    t.equal(status, 201)
  })
}

t.test('"Expect: 100-continue" before a manifest: it is told to send, and then answered', async t => {
  const connection = await openTo(t, registry)
  connection.send(
    head('PUT', `/v2/${name}/manifests/x`, [
      'Content-Length: 2',
      'Expect: 100-continue',
      'Content-Type: application/vnd.oci.image.manifest.v1+json',
    ]),
  )
  const first = connection.answer()
  t.equal(await isAnswered(first, 5_000), true)
  t.equal((await first).status, 100)
  connection.send('{}')
  t.equal((await connection.answer()).status, 400)
})

t.test('a body that is too short for its range ends with a refusal, and its connection goes on', async t => {
  const connection = await openTo(t, registry)
  const upload = new URL(await begin(registry, name)).pathname
  const content = Buffer.alloc(400_000)
  connection.send(head('PATCH', upload, ['Content-Range: 5-400004', `Content-Length: ${content.length}`]))
  connection.send(content)
  connection.send(get)
  t.equal((await connection.answer()).status, 416)
  t.equal((await connection.answer()).status, 200)
})

const authority = await createAuthority(join(t.testdir(), 'tls'))
const tls = tlsFiles(await authority.sign('server'))
const ca = await readFile(authority.certificate)

t.test('over TLS a large upload arrives byte for byte, by length and in chunks', async t => {
  const secure = await startRegistry(t, { tls, http2: false })
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca })
  t.teardown(() => agent.destroy())
  for (const headers of [
    { 'content-length': 5 * mebibyte },
    { 'transfer-encoding': 'chunked' },
    { 'content-length': 5 * mebibyte, expect: '100-continue' },
  ]) {
    const { bytes, digest } = blob(5 * mebibyte)
    const request = httpsRequest(`${secure.url}/v2/${name}/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      agent,
      headers,
    })
    if ('expect' in headers) {
      request.flushHeaders()
      await once(request, 'continue')
    }
    request.end(bytes)
    const [response] = await once(request, 'response')
    await buffer(response)
    t.equal(response.statusCode, 201)
    const pulled = httpsRequest(`${secure.url}/v2/${name}/blobs/${digest}`, { agent }).end()
    const [answer] = await once(pulled, 'response')
    t.ok((await buffer(answer)).equals(bytes))
  }
})

t.test('over HTTP/2 large uploads at once arrive byte for byte', async t => {
  const secure = await startRegistry(t, { tls })
  const session = connectHttp2(secure.url, { ca })
  t.teardown(() => session.destroy())
  await Promise.all(
    Array.from({ length: 4 }, async (_, index) => {
      const { bytes, digest } = blob(4 * mebibyte + index)
      const path = `/v2/${name}/blobs/uploads/?digest=${digest}`
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        ...(index === 0 ? { expect: '100-continue' } : {}),
      })
      if (index === 0) await once(stream, 'continue')
      stream.end(bytes)
      const [headers] = await once(stream, 'response')
      await buffer(stream)
      t.equal(headers[':status'], 201)
      const pulled = session.request({ ':path': `/v2/${name}/blobs/${digest}` })
      t.ok((await buffer(pulled)).equals(bytes))
    }),
  )
})

t.test('over HTTP/2 a refusal of a body that was only announced is the only answer', async t => {
  const secure = await startRegistry(t, { tls })
  const session = connectHttp2(secure.url, { ca })
  t.teardown(() => session.destroy())
  const stream = session.request({
    ':method': 'POST',
    ':path': `/v2/${name}/blobs/uploads/?digest=sha256:bad`,
    expect: '100-continue',
  })
  let told = false
  stream.on('continue', () => (told = true))
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 400)
  stream.resume()
  await once(stream, 'close')
  t.equal(told, false)
})

t.test('nothing is left open of any of them', async t => {
  t.strictSame(
    await until(
      () => openBelow(registry.root),
      open => open.length === 0,
    ),
    [],
  )
})
