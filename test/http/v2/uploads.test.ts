import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { until } from '../../storage-drivers/open-files.ts'
import {
  append,
  begin,
  finish,
  has,
  locationOf,
  offsetOf,
  post,
  pull,
  push,
  refusal,
  startSending,
  status,
  withDigest,
} from './uploads-client.ts'

const registry = await startRegistry(t)
const uuid = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/
const emptyDigest = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

t.test('[35] [36] a POST is answered with 202, and a Location, a Range and an id of its own', async t => {
  const answers = await Promise.all([post(registry, 'post/a'), post(registry, 'post/a')])
  for (const { status, headers, body } of answers) {
    t.equal(status, 202)
    t.equal(headers['range'], '0-0')
    t.match(headers['docker-upload-uuid'], uuid)
    t.equal(headers['location'], `${registry.url}/v2/post/a/blobs/uploads/${String(headers['docker-upload-uuid'])}`)
    t.equal(headers['content-length'], '0')
    t.equal(body.length, 0)
  }
  t.not(answers[0].headers['location'], answers[1].headers['location'])
})

t.test(
  '[35] a POST without the slash at the end, or with a body of no meaning, begins an upload all the same',
  async t => {
    const bare = await ask(`${registry.url}/v2/post/b/blobs/uploads`, { method: 'POST' })
    t.equal(bare.status, 202)
    const withBody = await post(registry, 'post/b', '', Buffer.from('{}'))
    t.equal(withBody.status, 202)
    t.equal(await offsetOf(locationOf(withBody)), 0)
  },
)

t.test('[35] a Location may be relative, and may be told with the name that a proxy has', async t => {
  t.test('relative', async t => {
    const relative = await startRegistry(t, { locations: { relative: true } })
    const answer = await post(relative, 'post/c')
    t.match(answer.headers['location'], /^\/v2\/post\/c\/blobs\/uploads\/[0-9a-f-]{36}$/)
    const { bytes, digest } = randomBlob()
    const made = await finish(relative.url + locationOf(answer), digest, bytes)
    t.equal(made.headers['location'], `/v2/post/c/blobs/${digest}`)
  })
  const answer = await ask(`${registry.url}/v2/post/c/blobs/uploads/`, {
    method: 'POST',
    headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.example.com' },
  })
  t.match(answer.headers['location'], /^https:\/\/registry\.example\.com\/v2\/post\/c\/blobs\/uploads\//)
})

t.test('[37] [44] [48] [55] PATCH without a Content-Range, then a PUT without a body', async t => {
  const { bytes, digest } = randomBlob(300_000)
  const upload = await begin(registry, 'patch/a')
  const first = await append(upload, bytes.subarray(0, 100_000))
  t.equal(first.status, 202)
  t.equal(first.headers['range'], '0-99999')
  t.equal(first.headers['location'], upload)
  t.equal(first.headers['docker-upload-uuid'], upload.split('/').at(-1))
  const second = await append(locationOf(first), bytes.subarray(100_000))
  t.equal(second.headers['range'], '0-299999', 'a PATCH goes on where the last one ended')
  const made = await finish(locationOf(second), digest)
  t.equal(made.status, 201)
  t.equal(made.headers['location'], `${registry.url}/v2/patch/a/blobs/${digest}`)
  t.equal(made.headers['docker-content-digest'], digest)
  t.equal(made.headers['content-length'], '0')
  const found = await ask(locationOf(made))
  t.equal(found.status, 200)
  t.ok(found.body.equals(bytes))
})

t.test('[37] the closing digest may have its colon as it is, and joins a query that is there already', async t => {
  const { bytes, digest } = randomBlob()
  const upload = await begin(registry, 'patch/b')
  const made = await ask(`${upload}?state=abc&digest=${digest}`, { method: 'PUT', body: bytes })
  t.equal(made.status, 201)
})

t.test('[38] a body of a length that is told and a chunked one are the same', async t => {
  for (const method of ['PATCH', 'PUT'] as const) {
    const { bytes, digest } = randomBlob(3_000_000)
    const upload = await begin(registry, 'chunked/a')
    const url = method === 'PUT' ? withDigest(upload, digest) : upload
    const sending = startSending(registry, url, { method })
    for (let at = 0; at < bytes.length; at += 700_000) await sending.send(bytes.subarray(at, at + 700_000))
    sending.end()
    const { headers } = await sending.received
    t.equal(headers['transfer-encoding'], 'chunked')
    t.equal((await sending.answer).status, method === 'PUT' ? 201 : 202, method)
    if (method === 'PATCH') t.equal((await finish(upload, digest)).status, 201)
    t.ok(await has(registry, 'chunked/a', { bytes, digest }))
  }
})

t.test('[38] a client may wait for the word to go on before it sends the body', async t => {
  const { bytes, digest } = randomBlob()
  const url = withDigest(await begin(registry, 'expect/a'), digest)
  const answer = await ask(url, { method: 'PUT', body: bytes, headers: { expect: '100-continue' } })
  t.equal(answer.status, 201)
})

t.test('[39] a POST with a digest and the whole body is answered with 201', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const made = await post(registry, 'single/a', `?digest=${digest}`, bytes)
  t.equal(made.status, 201)
  t.equal(made.headers['location'], `${registry.url}/v2/single/a/blobs/${digest}`)
  t.equal(made.headers['docker-content-digest'], digest)
  t.ok(await has(registry, 'single/a', { bytes, digest }))
})

t.test('[39] a POST with a digest may be chunked', async t => {
  const { bytes, digest } = randomBlob(2_000_000)
  const url = `${registry.url}/v2/single/b/blobs/uploads/?digest=${digest}`
  const sending = startSending(registry, url, { method: 'POST' })
  await sending.send(bytes)
  sending.end()
  t.equal((await sending.answer).status, 201)
  t.ok(await has(registry, 'single/b', { bytes, digest }))
})

t.test('a POST with a digest whose body breaks off leaves nothing, neither a blob nor a file', async t => {
  const alone = await startRegistry(t)
  const { bytes, digest } = randomBlob(3_000_000)
  const url = `${alone.url}/v2/single/c/blobs/uploads/?digest=${digest}`
  const sending = startSending(alone, url, { method: 'POST', headers: { 'content-length': '3000000' } })
  await sending.send(bytes.subarray(0, 2_000_000))
  t.equal((await readdir(join(alone.root, 'uploads'))).length, 1)
  sending.breakOff()
  await t.rejects(sending.answer)
  const left = await until(
    () => readdir(join(alone.root, 'uploads')),
    files => files.length === 0,
  )
  t.same(left, [])
  t.equal(refusal(await pull(alone, 'single/c', digest)), '404 BLOB_UNKNOWN')
})

t.test('[49] [50] GET of an upload tells how far it has come', async t => {
  const upload = await begin(registry, 'status/a')
  const steps: [Buffer, string][] = [
    [Buffer.alloc(0), '0-0'],
    [Buffer.from('x'), '0-0'],
    [Buffer.from('yz'), '0-2'],
  ]
  t.equal((await status(upload)).headers['range'], '0-0')
  for (const [bytes, range] of steps) {
    await append(upload, bytes)
    const answer = await status(upload)
    t.equal(answer.status, 204)
    t.equal(answer.headers['range'], range)
    t.equal(answer.headers['location'], upload)
    t.equal(answer.headers['docker-upload-uuid'], upload.split('/').at(-1))
    t.equal(answer.body.length, 0)
  }
  t.equal((await ask(upload, { method: 'HEAD' })).status, 204)
})

t.test('[49] GET of an upload is the same with a digest behind it', async t => {
  const upload = await begin(registry, 'status/b')
  await append(upload, Buffer.from('abc'))
  const answer = await status(withDigest(upload, emptyDigest))
  t.equal(answer.status, 204)
  t.equal(answer.headers['range'], '0-2')
})

t.test('[50] one byte and none are kept apart, though they look alike', async t => {
  const { bytes, digest } = randomBlob(1)
  const upload = await begin(registry, 'status/c')
  await append(upload, bytes)
  t.equal((await finish(upload, emptyDigest)).status, 400, 'it is not empty')
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('[49] an upload that is not known is answered with 404 by every method', async t => {
  const url = `${registry.url}/v2/unknown/a/blobs/uploads/${randomUUID()}`
  for (const [method, body] of Object.entries({ GET: undefined, PATCH: 'x', PUT: 'x', DELETE: undefined })) {
    const answer = await ask(withDigest(url, emptyDigest), { method, ...(body === undefined ? {} : { body }) })
    t.equal(refusal(answer), '404 BLOB_UPLOAD_UNKNOWN', method)
  }
})

t.test('what can not be the id of an upload is the id of none', async t => {
  const real = (await begin(registry, 'unknown/b')).split('/').at(-1) ?? ''
  const ids = ['x', '0', '%20', '%00', "'", real.toUpperCase(), real.slice(1), `${real}0`, `%7B${real}%7D`]
  for (const id of [...ids, real.replaceAll('-', ''), 'x'.repeat(5000), '..%2f', '%ff', encodeURIComponent('é')]) {
    for (const [method, body] of Object.entries({ GET: undefined, PATCH: 'x', PUT: 'x', DELETE: undefined })) {
      const answer = await ask(`${registry.url}/v2/unknown/b/blobs/uploads/${id}?digest=${emptyDigest}`, {
        method,
        ...(body === undefined ? {} : { body }),
      })
      t.match(
        refusal(answer),
        /^40[04] (BLOB_UPLOAD_UNKNOWN|UNSUPPORTED|NAME_INVALID)$/,
        `${method} ${id.slice(0, 50)}`,
      )
    }
  }
})

t.test('[49] an upload is known under its own repository only', async t => {
  const { bytes, digest } = randomBlob()
  const upload = await begin(registry, 'mine/a')
  await append(upload, bytes)
  const elsewhere = upload.replace('/mine/a/', '/theirs/a/')
  t.equal(refusal(await status(elsewhere)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await append(elsewhere, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await finish(elsewhere, digest)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await ask(elsewhere, { method: 'DELETE' })), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal((await finish(upload, digest)).status, 201, 'where it still is')
  t.equal((await pull(registry, 'theirs/a', digest)).status, 404)
})

t.test('[53] DELETE ends an upload and takes its bytes away', async t => {
  const before = await readdir(join(registry.root, 'uploads'))
  const { bytes, digest } = randomBlob()
  const upload = await begin(registry, 'cancel/a')
  await append(upload, bytes)
  t.equal((await readdir(join(registry.root, 'uploads'))).length, before.length + 1)
  const answer = await ask(upload, { method: 'DELETE' })
  t.equal(answer.status, 204)
  t.equal(answer.body.length, 0)
  t.same(await readdir(join(registry.root, 'uploads')), before)
  t.equal(refusal(await status(upload)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await append(upload, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await finish(upload, digest, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await ask(upload, { method: 'DELETE' })), '404 BLOB_UPLOAD_UNKNOWN')
})

t.test('[53] DELETE ends an upload that has no bytes yet', async t => {
  const upload = await begin(registry, 'cancel/b')
  t.equal((await ask(upload, { method: 'DELETE' })).status, 204)
  t.equal((await status(upload)).status, 404)
})

t.test('an upload that has become a blob is gone', async t => {
  const { bytes, digest } = randomBlob()
  const upload = await begin(registry, 'ended/a')
  t.equal((await finish(upload, digest, bytes)).status, 201)
  t.equal(refusal(await status(upload)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await append(upload, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await finish(upload, digest, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
})

t.test('[56] a blob of no bytes can be pushed in every way', async t => {
  const empty = Buffer.alloc(0)
  const content = { bytes: empty, digest: randomBlob(0).digest }
  t.equal(content.digest, emptyDigest)
  const ways: Record<string, (repository: string) => Promise<number>> = {
    'POST with the digest': async name => (await post(registry, name, `?digest=${emptyDigest}`)).status,
    'POST with the digest, chunked': async name => {
      const url = `${registry.url}/v2/${name}/blobs/uploads/?digest=${emptyDigest}`
      return (await ask(url, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } })).status
    },
    'POST and PUT': async name => (await finish(await begin(registry, name), emptyDigest)).status,
    'POST and PUT, chunked': async name =>
      (await finish(await begin(registry, name), emptyDigest, empty, { 'transfer-encoding': 'chunked' })).status,
    'POST, PATCH, PUT': async name => {
      const upload = await begin(registry, name)
      t.equal((await append(upload, empty)).headers['range'], '0-0')
      return (await finish(upload, emptyDigest)).status
    },
    'POST, PATCH, PUT, chunked': async name => {
      const upload = await begin(registry, name)
      t.equal((await append(upload, empty, { 'transfer-encoding': 'chunked' })).status, 202)
      return (await finish(upload, emptyDigest, empty, { 'transfer-encoding': 'chunked' })).status
    },
  }
  for (const [index, [title, way]] of Object.entries(ways).entries()) {
    const name = `empty/${index}`
    t.equal(await way(name), 201, title)
    t.ok(await has(registry, name, content), title)
  }
})

t.test('[58] a blob that exists can be pushed again in every way', async t => {
  const content = randomBlob()
  const { bytes, digest } = content
  await push(registry, 'again/a', content)
  t.equal((await finish(await begin(registry, 'again/a'), digest, bytes)).status, 201)
  t.equal((await post(registry, 'again/a', `?digest=${digest}`, bytes)).status, 201)
  const upload = await begin(registry, 'again/b')
  await append(upload, bytes)
  t.equal((await finish(upload, digest)).status, 201, 'in another repository, too')
  t.ok(await has(registry, 'again/a', content))
  t.ok(await has(registry, 'again/b', content))
})

t.test('a push into a name that is none is refused before anything is stored', async t => {
  for (const name of ['Upper/case', 'a//b', 'under_', '-a', 'a%2Fb', 'x'.repeat(300)]) {
    t.equal(refusal(await post(registry, name)), '400 NAME_INVALID', name.slice(0, 20))
  }
})

t.test('other methods are refused, and told which ones there are', async t => {
  const upload = await begin(registry, 'methods/a')
  const answer = await ask(upload, { method: 'POST' })
  t.equal(refusal(answer), '405 UNSUPPORTED')
  t.equal(answer.headers['allow'], 'DELETE, GET, HEAD, PATCH, PUT')
})

t.test('a registry that is read-only takes no blob and ends no upload, and says why', async t => {
  const upload = await begin(registry, 'readonly/a')
  const { databaseUrl, root } = registry
  const readOnly = await startRegistry(t, { databaseUrl, root, access: { readOnly: true } })
  const there = upload.replace(registry.url, readOnly.url)
  t.equal(refusal(await post(readOnly, 'readonly/a')), '405 UNSUPPORTED')
  t.equal(refusal(await append(there, Buffer.from('x'))), '405 UNSUPPORTED')
  t.equal(refusal(await finish(there, emptyDigest)), '405 UNSUPPORTED')
  t.equal(refusal(await ask(there, { method: 'DELETE' })), '405 UNSUPPORTED')
  t.equal((await status(upload)).status, 204)
})

t.test('a Content-Type says nothing of a blob, even one that is none', async t => {
  for (const type of ['', 'foo', 'text/html; charset', 'application/octet-stream']) {
    const { bytes, digest } = randomBlob(1000)
    const upload = await begin(registry, 'types/a')
    const headers = { 'content-type': type }
    const patch = await fetch(upload, { method: 'PATCH', headers, body: new Uint8Array(bytes) })
    t.equal(patch.status, 202, type)
    const put = await fetch(`${upload}?digest=${digest}`, { method: 'PUT', headers })
    t.equal(put.status, 201, type)
  }
})
