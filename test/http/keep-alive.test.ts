import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { digestOf } from '../../server/oci/digest.ts'
import { startRegistry } from '../helpers/registry.ts'
import { openBelow } from '../storage-drivers/open-files.ts'
import { type Connection, firstError, open, until } from './connection.ts'

const mebibyte = 1024 * 1024
const digest = digestOf(Buffer.from('something else'), 'sha256')

interface Head {
  method?: string
  path: string
  headers?: Record<string, string | number>
}

function head({ method = 'GET', path, headers = {} }: Head): string {
  const lines = Object.entries({ Host: 'registry.test', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

const post = (path: string, length: number, headers: Record<string, string> = {}) =>
  head({ method: 'POST', path, headers: { 'Content-Length': length, ...headers } })

async function openTo(t: Test, url: string): Promise<Connection> {
  const connection = await open(url)
  t.teardown(() => connection.close())
  return connection
}

/** That the connection takes another request. */
async function goesOn(connection: Connection): Promise<boolean> {
  connection.send(head({ path: '/v2/' }))
  return (await connection.answer()).status === 200
}

t.test('one connection takes one request after the other, whatever is answered', async t => {
  const { url } = await startRegistry(t)
  const connection = await openTo(t, url)
  const requests: [Head, number][] = [
    [{ path: '/v2/' }, 200],
    [{ path: '/v2/a/manifests/latest' }, 404],
    [{ path: '/nothing' }, 404],
    [{ path: '/v2/', method: 'DELETE' }, 405],
    [{ path: '/v2/%zz/tags/list' }, 400],
    [{ path: '/v2/a/blobs/sha256:bad' }, 400],
    [{ path: '/v2/a/blobs/uploads/', method: 'POST', headers: { 'Content-Length': 0 } }, 202],
    [{ path: '/v2/a/manifests/x', method: 'HEAD' }, 404],
    [{ path: '/', method: 'HEAD' }, 200],
  ]
  for (const [request, status] of requests) {
    connection.send(head(request))
    t.equal((await connection.answer(request)).status, status, `${request.method ?? 'GET'} ${request.path}`)
  }
})

t.test('requests that are sent ahead are answered in their order', async t => {
  const { url } = await startRegistry(t)
  const connection = await openTo(t, url)
  connection.send(head({ path: '/v2/' }) + head({ path: '/nothing' }) + head({ path: '/livez' }))
  t.equal((await connection.answer()).status, 200)
  t.equal((await connection.answer()).status, 404)
  t.equal((await connection.answer()).status, 200)
})

t.test('an upload that is refused before it is read: its client gets the answer, and may go on', async t => {
  const { url } = await startRegistry(t, { access: { readOnly: true } })
  const connection = await openTo(t, url)
  const body = Buffer.alloc(8 * mebibyte)
  connection.send(post(`/v2/a/blobs/uploads/?digest=${digest}`, body.length))
  const answer = await connection.answer()
  t.equal(answer.status, 405, 'the answer is there before the body')
  t.equal(firstError(answer.body).code, 'UNSUPPORTED')
  connection.send(body)
  t.ok(await goesOn(connection))
})

t.test('an upload that turns out bad is read away, sized or in chunks', async t => {
  const { url } = await startRegistry(t)
  const body = randomBytes(3 * mebibyte)
  for (const path of [`/v2/a/blobs/uploads/?digest=${digest}`, '/v2/a/blobs/uploads/?digest=sha256:bad', '/nothing']) {
    const connection = await openTo(t, url)
    connection.send(post(path, body.length))
    connection.send(body)
    t.ok((await connection.answer()).status >= 400)
    t.ok(await goesOn(connection), path)

    connection.send(head({ method: 'POST', path, headers: { 'Transfer-Encoding': 'chunked' } }))
    for (let turn = 0; turn < 3; turn++) {
      connection.send(`${mebibyte.toString(16)}\r\n`)
      connection.send(body.subarray(0, mebibyte))
      connection.send('\r\n')
    }
    connection.send('0\r\n\r\n')
    t.ok((await connection.answer()).status >= 400)
    t.ok(await goesOn(connection), `${path} in chunks`)
  }
})

t.test('a manifest that is too large is refused on the way, and its rest read away', async t => {
  const { url } = await startRegistry(t)
  for (const announced of [true, false]) {
    const connection = await openTo(t, url)
    const body = Buffer.alloc(6 * mebibyte, 32)
    const headers = announced ? { 'Content-Length': body.length } : { 'Transfer-Encoding': 'chunked' }
    connection.send(head({ method: 'PUT', path: '/v2/a/manifests/large', headers }))
    if (!announced) connection.send(`${body.length.toString(16)}\r\n`)
    connection.send(body)
    if (!announced) connection.send('\r\n0\r\n\r\n')
    t.equal((await connection.answer()).status, 413)
    t.ok(await goesOn(connection))
  }
})

t.test('a refused body without an end is not read for ever, and costs no memory', async t => {
  const { url } = await startRegistry(t, { access: { readOnly: true } })
  const connection = await openTo(t, url)
  const chunk = Buffer.alloc(mebibyte)
  connection.send(post('/v2/a/blobs/uploads/', 4096 * mebibyte))
  t.equal((await connection.answer()).status, 405)
  const before = process.memoryUsage.rss()
  let sent = 0
  for (let over = false; !over && sent < 2048; sent++)
    over = await new Promise<boolean>(resolve => connection.socket.write(chunk, error => resolve(error != null)))
  t.ok(sent < 2048, `cut off after ${sent} MiB`)
  t.ok(process.memoryUsage.rss() - before < 200 * mebibyte)
  connection.close()
  t.equal((await fetch(`${url}/v2/`)).status, 200)
})

t.test(
  'a client that says all before it listens gets the answer, on a connection that is to be closed too',
  async t => {
    const { url } = await startRegistry(t, { access: { readOnly: true } })
    const chunk = Buffer.alloc(mebibyte)
    for (const first of ['HTTP/1.0\r\n', 'HTTP/1.1\r\nConnection: close\r\n', 'HTTP/1.1\r\n']) {
      const connection = await openTo(t, url)
      connection.socket.pause()
      connection.send(`POST /v2/a/blobs/uploads/ ${first}Host: x\r\nContent-Length: ${16 * mebibyte}\r\n\r\n`)
      for (let sent = 0; sent < 16; sent++) {
        const error = await new Promise(resolve => connection.socket.write(chunk, resolve))
        if (error) t.fail(`the connection was closed after ${sent} MiB`)
      }
      connection.socket.resume()
      const answer = await connection.answer()
      t.equal(answer.status, 405)
      if (answer.headers['connection'] === 'close') await connection.closed
      else t.ok(await goesOn(connection))
    }
  },
)

t.test('a client that waits for leave to send its body gets it, or the refusal', async t => {
  const { url } = await startRegistry(t)
  const connection = await openTo(t, url)
  const body = randomBytes(1000)
  const path = `/v2/a/blobs/uploads/?digest=${digestOf(body, 'sha256')}`
  connection.send(post(path, body.length, { Expect: '100-continue' }))
  t.equal((await connection.answer()).status, 100)
  connection.send(body)
  t.equal((await connection.answer()).status, 201)
  connection.send(post('/v2/a/blobs/uploads/', 10, { Expect: 'wonders' }))
  const refused = await connection.answer()
  t.equal(refused.status, 417)
  t.equal(firstError(refused.body).code, 'UNSUPPORTED')
})

t.test('a client that takes nothing of an answer is cut off, and its file is closed', async t => {
  const { url, root } = await startRegistry(t, { silenceMs: 200 })
  const body = randomBytes(32 * mebibyte)
  const stored = digestOf(body, 'sha256')
  const upload = `${url}/v2/a/blobs/uploads/?digest=${stored}`
  t.equal((await fetch(upload, { method: 'POST', body: new Uint8Array(body) })).status, 201)
  const connection = await openTo(t, url)
  connection.socket.pause()
  connection.send(head({ path: `/v2/a/blobs/${stored}` }))
  await until(() => openBelow(root).length > 0)
  await until(() => openBelow(root).length === 0)
  t.equal((await fetch(`${url}/v2/`)).status, 200)
})

t.test('a client that takes an answer slowly gets all of it', async t => {
  const { url } = await startRegistry(t, { silenceMs: 1_500 })
  const body = randomBytes(32 * mebibyte)
  const stored = digestOf(body, 'sha256')
  const upload = `${url}/v2/a/blobs/uploads/?digest=${stored}`
  t.equal((await fetch(upload, { method: 'POST', body: new Uint8Array(body) })).status, 201)
  const began = performance.now()
  const response = await fetch(`${url}/v2/a/blobs/${stored}`)
  const parts: Uint8Array[] = []
  for await (const part of response.body ?? []) {
    parts.push(part)
    if (performance.now() - began < 2_500) await new Promise(resolve => setTimeout(resolve, 10))
  }
  t.equal(digestOf(Buffer.concat(parts), 'sha256'), stored)
})

t.test('an upload that its client leaves in the middle leaves its bytes, and nothing open', async t => {
  const { url, root } = await startRegistry(t)
  const begun = await fetch(`${url}/v2/a/blobs/uploads/`, { method: 'POST' })
  const location = begun.headers.get('location') ?? ''
  const connection = await openTo(t, url)
  const { pathname } = new URL(location)
  connection.send(head({ method: 'PATCH', path: pathname, headers: { 'Content-Length': 8 * mebibyte } }))
  connection.send(Buffer.alloc(2 * mebibyte))
  await until(() => openBelow(root).length > 0)
  connection.close()
  await until(() => openBelow(root).length === 0)
  const { headers } = await fetch(location)
  t.match(headers.get('range'), /^0-[1-9]/)
  t.equal((await readdir(join(root, 'uploads'))).length, 1)
})
