import t, { type Test } from 'tap'
import { ask } from '../../conformance/http.ts'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { faultsOf, least, loadText } from '../config/load-text.ts'
import { type Content, contentOf, layerType, randomBlob } from '../helpers/images.ts'
import { needs } from '../helpers/needs.ts'
import { startBerth } from '../helpers/processes.ts'
import { startRegistry } from '../helpers/registry.ts'
import { startNginx } from './nginx.ts'

/** Blobs that nginx sends, with the configuration of docs/operations.md. */

const prefix = '/berth-files'

interface Inside {
  url: string
  /** The folder of the store. */
  root: string
}

/** Berth with the setting, as a process. */
async function startProcess(t: Test): Promise<Inside> {
  const { url, data } = await startBerth(t, { env: { REGISTRY_HTTP_ACCELREDIRECT: prefix } })
  return { url, root: data }
}

/** A registry with the setting, and nginx in front of it; undefined where nginx is not installed. */
async function startBoth(
  t: Test,
  startInside: () => Promise<Inside> = () => startRegistry(t, { accelRedirect: prefix }),
) {
  const nginx = needs(t, 'nginx')
  if (nginx === undefined) return undefined
  const { url: inside, root } = await startInside()
  const outside = await startNginx(t, { nginx, berth: new URL(inside).host, root })
  const push = async ({ digest, bytes }: Content) => {
    const headers = { 'content-length': String(bytes.length) }
    const path = `${outside}/v2/team/app/blobs/uploads/?digest=${digest}`
    const { status } = await ask(path, { method: 'POST', body: bytes, headers })
    if (status !== 201) throw new Error(`a blob was answered with ${status}`)
    return `/v2/team/app/blobs/${digest}`
  }
  return { inside, outside, push }
}

t.test('nginx sends a whole blob byte for byte, with the headers of Berth', async t => {
  const both = await startBoth(t, () => startProcess(t))
  if (both === undefined) return
  const { inside, outside, push } = both
  for (const blob of [randomBlob(3_000_001), randomBlob(10), randomBlob(1000, 'sha512')]) {
    const path = await push(blob)
    const { status, headers, body } = await ask(outside + path)
    t.equal(status, 200)
    t.ok(body.equals(blob.bytes), `${blob.bytes.length} bytes`)
    t.match(headers, {
      'content-length': String(blob.bytes.length),
      'content-type': 'application/octet-stream',
      'docker-content-digest': blob.digest,
      etag: `"${blob.digest}"`,
      'cache-control': 'max-age=31536000, immutable',
      'accept-ranges': 'bytes',
      'docker-distribution-api-version': 'registry/2.0',
      'x-content-type-options': 'nosniff',
      'x-request-id': /^[0-9a-f-]{36}$/,
    })
    t.notOk('x-accel-redirect' in headers, 'where the file is stays inside')

    const itself = await ask(inside + path)
    const [algorithm = '', hex = ''] = blob.digest.split(':')
    t.equal(itself.headers['x-accel-redirect'], `${prefix}/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}`)
    t.equal(itself.body.length, 0, 'Berth itself sends none of it')
  }
})

t.test('nginx sends ranges of a blob byte for byte', async t => {
  const both = await startBoth(t)
  if (both === undefined) return
  const { outside, push } = both
  const blob = randomBlob(2_000_000)
  const path = await push(blob)
  const parts: [range: string, first: number, last: number][] = [
    ['bytes=0-0', 0, 0],
    ['bytes=1000-1500000', 1000, 1_500_000],
    ['bytes=1999990-', 1_999_990, 1_999_999],
    ['bytes=-7', 1_999_993, 1_999_999],
  ]
  for (const [range, first, last] of parts) {
    const { status, headers, body } = await ask(outside + path, { headers: { range } })
    t.equal(status, 206, range)
    t.equal(headers['content-range'], `bytes ${first}-${last}/2000000`)
    t.ok(body.equals(blob.bytes.subarray(first, last + 1)))
    t.equal(headers['docker-content-digest'], blob.digest)
  }
  const beyond = await ask(outside + path, { headers: { range: 'bytes=2000000-' } })
  t.equal(beyond.status, 416)
  t.match(JSON.parse(beyond.body.toString()), { errors: [{ code: 'UNSUPPORTED' }] })
})

t.test('conditions hold through nginx as they do without it', async t => {
  const both = await startBoth(t)
  if (both === undefined) return
  const { outside, push } = both
  const blob = randomBlob(5000)
  const path = await push(blob)
  const tag = `"${blob.digest}"`
  const later = new Date(Date.now() + 86_400_000).toUTCString()
  const table: [headers: Record<string, string>, status: number, length: number][] = [
    [{ 'if-none-match': tag }, 304, 0],
    [{ 'if-none-match': '"other"' }, 200, 5000],
    [{ 'if-match': tag }, 200, 5000],
    [{ 'if-unmodified-since': new Date(0).toUTCString() }, 200, 5000],
    [{ 'if-modified-since': later }, 200, 5000],
    [{ range: 'bytes=0-9', 'if-range': tag }, 206, 10],
    [{ range: 'bytes=0-9', 'if-range': '"other"' }, 200, 5000],
  ]
  for (const [headers, status, length] of table) {
    const answer = await ask(outside + path, { headers })
    t.equal(answer.status, status, JSON.stringify(headers))
    t.ok(answer.body.equals(blob.bytes.subarray(0, length)))
  }
  t.equal((await ask(outside + path, { headers: { 'if-match': '"other"' } })).status, 412)
})

t.test('HEAD, blobs without bytes and blobs that are not there are answered by Berth', async t => {
  const both = await startBoth(t)
  if (both === undefined) return
  const { outside, push } = both
  const blob = randomBlob(5000)
  const head = await ask(outside + (await push(blob)), { method: 'HEAD' })
  t.match(head, { status: 200, headers: { 'content-length': '5000', 'docker-content-digest': blob.digest } })
  const empty = contentOf('', layerType)
  const nothing = await ask(outside + (await push(empty)))
  t.match(nothing, { status: 200, headers: { 'content-length': '0', 'docker-content-digest': empty.digest } })
  for (const repository of ['team/app', 'team/other']) {
    const digest = repository === 'team/app' ? randomBlob().digest : blob.digest
    const unknown = await ask(`${outside}/v2/${repository}/blobs/${digest}`)
    t.equal(unknown.status, 404)
    t.match(JSON.parse(unknown.body.toString()), { errors: [{ code: 'BLOB_UNKNOWN' }] })
  }
})

t.test('the internal location can not be reached from outside', async t => {
  const both = await startBoth(t)
  if (both === undefined) return
  const { inside, outside, push } = both
  const path = await push(randomBlob(5000))
  const file = String((await ask(inside + path)).headers['x-accel-redirect'])
  for (const way of [file, file.replace('/blobs/', '//blobs/'), `/v2/..${file}`, `${prefix}/postgres/password`]) {
    const { status, body } = await ask(outside + way)
    t.equal(status, 404, way)
    t.ok(body.length < 1000)
  }
  t.equal((await ask(`${outside}${path}`)).body.length, 5000)
})

t.test('without the setting a blob is sent with its bytes', async t => {
  const { url } = await startRegistry(t)
  const { digest, bytes } = randomBlob(100)
  const headers = { 'content-length': '100' }
  await ask(`${url}/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes, headers })
  const answer = await ask(`${url}/v2/a/blobs/${digest}`)
  t.ok(answer.body.equals(bytes))
  t.notOk('x-accel-redirect' in answer.headers)
})

t.test('a store without files is refused at the start', async t => {
  const { driver } = await startRegistry(t)
  const others: StorageDriver = { ...driver }
  delete others.filePath
  const start = startRegistry(t, { accelRedirect: prefix, wrapDriver: () => others })
  await t.rejects(start, /^http\.accelredirect: with this storage driver blobs are no files/)
})

t.test('what is no path is refused at the start', async t => {
  for (const text of ['berth-files', '/', '/a b', '/a?b', '//a'])
    t.match(faultsOf(t, `${least}http: {accelredirect: '${text}'}\n`), [/^http\.accelredirect: .* write it like/], text)
  t.equal(loadText(t, `${least}http: {accelredirect: /a/b/}\n`).config.http.accelredirect, '/a/b')
})
