import { readFileSync, globSync } from 'node:fs'
import { METHODS, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { fastify } from 'fastify'
import t from 'tap'
import { digestOf } from '../../../server/oci/digest.ts'
import { sendError } from '../../../server/http/errors.ts'
import { errorTable, RegistryError, RegistryErrors } from '../../../server/oci/errors.ts'
import { OutOfSpace } from '../../../storage-drivers/driver.ts'
import { image, imageType, index, indexType } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { errorEntries, isRecord, pushBlob, pushImage, pushManifest, putManifest } from './requests.ts'

const { url } = await startRegistry(t)
const digest = digestOf(Buffer.from('never pushed'))
const known = image()
await pushImage(url, 'known', known, 'v1')

interface Answer {
  status: number
  headers: Record<string, unknown>
  body: string
}

/** A request whose path goes over the wire as it is written here. */
function send(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; url?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(options.url ?? url)
    const outgoing = request({ hostname, port, path, method, headers, agent: false }, response => {
      const { statusCode: status = 0, headers: answered } = response
      text(response).then(read => resolve({ status, headers: answered, body: read }), reject)
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

/** `status CODE`, of an answer that has to be the error envelope, with what every error says and bears. */
function refusal({ status, headers, body }: Answer): string {
  const codes = errorEntries(body).map(({ code }) => code)
  if (headers['content-type'] !== 'application/json; charset=utf-8') throw new Error(`not JSON: ${body.slice(0, 200)}`)
  if (Number(headers['content-length']) !== Buffer.byteLength(body)) throw new Error('not the length of the body')
  const kind = errorTable().find(({ code }) => code === codes[0])
  if (kind === undefined || ![kind.status, ...kind.also].includes(status))
    throw new Error(`the table of errors does not know of ${codes[0]} with ${status}`)
  return [status, ...codes].join(' ')
}

t.test('[8] [9] [10] each code comes where it should, with its status, in the envelope', async t => {
  const upload = async () => {
    const { headers } = await send('/v2/known/blobs/uploads/', { method: 'POST' })
    return new URL(String(headers['location'])).pathname
  }
  const put = (body: string, reference = 'v2') =>
    send(`/v2/known/manifests/${reference}`, { method: 'PUT', headers: { 'content-type': imageType }, body })
  const patch = async (range: string, body: string) =>
    send(await upload(), { method: 'PATCH', headers: { 'content-range': range }, body })

  const cases: Record<string, Promise<Answer>> = {
    '404 BLOB_UNKNOWN': send(`/v2/known/blobs/${digest}`),
    '416 BLOB_UPLOAD_INVALID': patch('5-9', '12345'),
    '404 BLOB_UPLOAD_UNKNOWN': send('/v2/known/blobs/uploads/0b0b0b0b-0000-4000-8000-000000000000'),
    '400 DIGEST_INVALID': send('/v2/known/blobs/sha256:abc'),
    '400 MANIFEST_BLOB_UNKNOWN': put(
      JSON.stringify({ schemaVersion: 2, config: { mediaType: 'a/b', digest, size: 1 }, layers: [] }),
    ),
    '400 MANIFEST_INVALID': put('{}'),
    '404 MANIFEST_UNKNOWN': send('/v2/known/manifests/v0'),
    '400 NAME_INVALID': send('/v2/UPPER/tags/list'),
    '404 NAME_UNKNOWN': send('/v2/unknown/tags/list'),
    '400 SIZE_INVALID': patch('0-9', '12345'),
    '405 UNSUPPORTED': send('/v2/', { method: 'DELETE' }),
  }
  for (const [expected, answer] of Object.entries(cases)) t.equal(refusal(await answer), expected)
  const blobs = ['404 BLOB_UNKNOWN', '404 BLOB_UPLOAD_UNKNOWN', '404 MANIFEST_UNKNOWN']
  const again = [
    send(`/v2/known/blobs/${digest}`, { method: 'DELETE' }),
    send('/v2/known/blobs/uploads/x', { method: 'DELETE' }),
    send('/v2/known/manifests/v0', { method: 'DELETE' }),
  ]
  t.same((await Promise.all(again)).map(refusal), blobs)
})

t.test('[8] the codes that no one sends yet are those that the table says so of', async t => {
  const sources = globSync('server/**/*.ts')
    .filter(file => file !== 'server/oci/errors.ts')
    .map(file => readFileSync(file, 'utf8'))
    .join('\n')
  for (const { code, when } of errorTable()) t.equal(!sources.includes(`'${code}'`), when.startsWith('Not sent'), code)
  t.same(
    errorTable()
      .slice(0, 14)
      .filter(({ status }) => status < 400 || status > 499),
    [],
  )
})

t.test('[8] whatever an operation throws becomes the envelope, with its status and headers', async t => {
  const app = fastify()
  app.setErrorHandler(sendError)
  let thrown = new Error('nothing yet')
  app.get('/', () => {
    throw thrown
  })
  t.teardown(() => app.close())
  const answerTo = async (error: Error) => {
    thrown = error
    const { statusCode, headers, body } = await app.inject('/')
    return { status: statusCode, headers, body }
  }

  for (const { code, status, message } of errorTable()) {
    const answer = await answerTo(new RegistryError(code))
    t.equal(refusal(answer), `${status} ${code}`)
    t.same(errorEntries(answer.body), [{ code, message, detail: undefined }])
  }
  const detail = { any: ['thing', null] }
  const busy = await answerTo(new RegistryError('TOOMANYREQUESTS', { headers: { 'retry-after': '7' }, detail }))
  t.equal(busy.headers['retry-after'], '7')
  t.match(errorEntries(busy.body), [{ detail }])

  const several = [digest, digestOf(Buffer.from('another'))].map(
    missing => new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: { digest: missing } }),
  )
  t.equal(refusal(await answerTo(new RegistryErrors(several))), '400 MANIFEST_BLOB_UNKNOWN MANIFEST_BLOB_UNKNOWN')
  t.equal(refusal(await answerTo(Object.assign(new Error('bad'), { statusCode: 415 }))), '415 UNSUPPORTED')
  for (const statusCode of [200, 302, 500, 503])
    t.equal(refusal(await answerTo(Object.assign(new Error('odd'), { statusCode }))), '500 UNKNOWN')
})

t.test('a fault of the registry is 500 UNKNOWN, and tells nothing of itself but the request’s id', async t => {
  const registry = await startRegistry(t, {
    wrapDriver: driver => ({
      ...driver,
      openObject: () => Promise.reject(new Error('secret: the store said no')),
    }),
  })
  await pushBlob(registry.url, 'fault', known.config)
  const answer = await send(`/v2/fault/blobs/${known.config.digest}`, { url: registry.url })
  t.equal(refusal(answer), '500 UNKNOWN')
  t.notMatch(answer.body, /secret|store said/)
  t.match(answer.headers['x-request-id'], /^[0-9a-f-]{36}$/)
})

t.test('a full store is 507', async t => {
  const registry = await startRegistry(t, {
    wrapDriver: driver => ({ ...driver, createUpload: () => Promise.reject(new OutOfSpace()) }),
  })
  const body = known.config.bytes.toString()
  const answer = await send(`/v2/full/blobs/uploads/?digest=${known.config.digest}`, {
    method: 'POST',
    body,
    url: registry.url,
  })
  t.equal(refusal(answer), '507 INSUFFICIENT_STORAGE')
})

t.test('[5] /v2/ is 200, with and without the slash, and names the version of the API', async t => {
  for (const path of ['/v2/', '/v2', '/v2/?x=y']) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await send(path, { method })
      t.equal(answer.status, 200, `${method} ${path}`)
      t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
    }
  }
})

t.test('[13] every answer of the API names its version, errors included', async t => {
  const paths = [
    '/v2/known/tags/list',
    '/v2/known/manifests/v0',
    `/v2/known/blobs/${digest}`,
    '/v2/UPPER/tags/list',
    '/v2/_catalog',
  ]
  for (const path of paths) t.equal((await send(path)).headers['docker-distribution-api-version'], 'registry/2.0', path)
})

t.test('a path where nothing is, is 404 in the envelope, whatever the method', async t => {
  const paths = [
    '/v1/',
    '/v2x',
    '/V2/',
    '/v2//',
    '/v2/known',
    '/v2/known/',
    '/v2/known/tags',
    '/v2/known/tags/',
    '/v2/known/tags/list/',
    '/v2/known/tags/list/more',
    '/v2/tags/list',
    '/v2/manifests/v1',
    '/v2/known/manifests',
    '/v2/known/manifests/v1/',
    '/v2/known/manifests/v1/more',
    '/v2/known/blobs',
    `/v2/known/blobs/${digest}/`,
    '/v2/known/blobs/uploads/a/b',
    '/v2/known/referrers',
    '/v2/_catalog/',
    '/v2/auth',
    '/favicon.ico',
    '//v2/',
    '/%2e%2e/etc/passwd',
    '/../../etc/passwd',
    '/v2/known/manifests/v1%2Fmore/x',
  ]
  for (const path of paths)
    for (const method of ['GET', 'PUT', 'DELETE'])
      t.equal(refusal(await send(path, { method })), '404 UNSUPPORTED', `${method} ${path}`)
})

t.test('[6] a method that a path does not take is 405, and Allow names those that it takes', async t => {
  const upload = '/v2/known/blobs/uploads/0b0b0b0b-0000-4000-8000-000000000000'
  const allowed: Record<string, string> = {
    '/v2/': 'GET, HEAD',
    '/v2/_catalog': 'GET, HEAD',
    '/v2/known/tags/list': 'GET, HEAD',
    '/v2/known/manifests/v1': 'DELETE, GET, HEAD, PUT',
    [`/v2/known/blobs/${digest}`]: 'DELETE, GET, HEAD',
    [`/v2/known/referrers/${digest}`]: 'GET, HEAD',
    [upload]: 'DELETE, GET, HEAD, PATCH, PUT',
  }
  for (const [path, allow] of Object.entries(allowed)) {
    for (const method of ['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LINK']) {
      if (allow.split(', ').includes(method)) continue
      const answer = await send(path, { method })
      t.equal(refusal(answer), '405 UNSUPPORTED', `${method} ${path}`)
      t.equal(answer.headers['allow'], allow, path)
    }
  }
})

t.test('[6] every method that HTTP knows is answered, and none with a 5xx', async t => {
  for (const method of METHODS.filter(name => name !== 'CONNECT')) {
    for (const path of ['/v2/', '/v2/known/manifests/v1', '/nothing']) {
      const answer = await send(path, { method })
      t.ok(answer.status < 500, `${method} ${path}: ${answer.status}`)
      if (answer.status >= 400 && method !== 'HEAD') t.match(errorEntries(answer.body), [{ message: /./ }])
    }
    if (method === 'DELETE') await pushManifest(url, 'known', 'v1', known.manifest)
  }
})

const badNames = [
  '..',
  '.',
  'a/../b',
  'a/./b',
  'a//b',
  'A',
  'a/B',
  '%41',
  'a%2fb',
  'a%2Fb',
  'a%252fb',
  '..%2f..%2fetc',
  '%2e%2e',
  '%00',
  'a%00',
  'a%0d%0aX-Evil:%20y',
  '%20',
  'a%20',
  'a+b',
  '%C3%A9',
  '%FF%FE',
  '%F0%9F%98%80',
  '%',
  '%zz',
  'a%2',
  '-a',
  'a-',
  '_a',
  'a___b',
  'a:b',
  'a@b',
  'a~b',
  "a'b",
  '$%7Bx%7D',
  '$&',
  ':name',
  '*',
  'a;b',
  '',
  'a'.repeat(256),
  `${'a/'.repeat(128)}a`,
]

t.test('[1] [3] a name that is none is 400 NAME_INVALID on every path that has one', async t => {
  for (const name of badNames) {
    const requests: [method: string, path: string][] = [
      ['GET', `/v2/${name}/tags/list`],
      ['GET', `/v2/${name}/manifests/v1`],
      ['PUT', `/v2/${name}/manifests/v1`],
      ['DELETE', `/v2/${name}/manifests/v1`],
      ['GET', `/v2/${name}/blobs/${digest}`],
      ['DELETE', `/v2/${name}/blobs/${digest}`],
      ['POST', `/v2/${name}/blobs/uploads/`],
      ['PATCH', `/v2/${name}/blobs/uploads/0b0b0b0b-0000-4000-8000-000000000000`],
      ['GET', `/v2/${name}/referrers/${digest}`],
    ]
    for (const [method, path] of requests)
      t.equal(refusal(await send(path, { method })), '400 NAME_INVALID', `${method} ${path.slice(0, 60)}`)
  }
})

t.test('[3] a name of 255 characters is taken, one of 256 told how long it may be', async t => {
  const empty = index([])
  const longest = `${'a'.repeat(127)}/${'b'.repeat(127)}`
  t.equal((await putManifest(url, longest, 'v1', empty)).status, 201)
  t.equal((await send(`/v2/${longest}/manifests/v1`)).status, 200)
  t.match(errorEntries((await send(`/v2/${longest}c/tags/list`)).body), [{ message: /at most 255/ }])
})

t.test('[2] a reference that is none is 400, with every method', async t => {
  const tags = [
    'a'.repeat(129),
    '.',
    '..',
    '-a',
    'a%20b',
    'a%2Fb',
    'a%00',
    '%C3%A9',
    '%FF',
    'a+b',
    'a@b',
    '*',
    '%7B%7D',
    '',
  ]
  const digests = ['sha256:', 'a:b', 'sha256%3Aabc', `${digest}%00`, digest.toUpperCase()]
  for (const method of ['GET', 'PUT', 'DELETE']) {
    for (const tag of tags) {
      const expected = tag === '%FF' ? '400 UNSUPPORTED' : '400 MANIFEST_INVALID'
      const headers = { 'content-type': indexType }
      t.equal(refusal(await send(`/v2/known/manifests/${tag}`, { method, headers })), expected, `${method} ${tag}`)
    }
    for (const text of digests)
      t.equal(refusal(await send(`/v2/known/manifests/${text}`, { method })), '400 DIGEST_INVALID', `${method} ${text}`)
  }
  for (const reference of ['%', '%zz', 'v%1'])
    t.equal(refusal(await send(`/v2/known/manifests/${reference}`)), '400 UNSUPPORTED', reference)
})

t.test('a reference may be percent-encoded', async t => {
  const { manifest } = known
  for (const reference of [
    'v1',
    '%761',
    'v%31',
    manifest.digest,
    manifest.digest.replace(':', '%3A'),
    manifest.digest.replace(':', '%3a'),
  ]) {
    const answer = await send(`/v2/known/manifests/${reference}`)
    t.equal(answer.status, 200, reference)
    t.equal(answer.headers['docker-content-digest'], manifest.digest)
  }
  t.equal((await send(`/v2/known/blobs/${known.config.digest.replace(':', '%3A')}`)).status, 200)
  t.equal((await send(`/v2/known/referrers/${manifest.digest.replace(':', '%3A')}`)).status, 200)
})

t.test('an error repeats little of what it was sent', async t => {
  for (const path of [
    `/v2/${'A'.repeat(15_000)}/tags/list`,
    `/v2/known/manifests/${'a'.repeat(15_000)}`,
    `/nothing/${'a'.repeat(15_000)}`,
  ]) {
    const answer = await send(path)
    t.match(refusal(answer), /^40/)
    t.ok(answer.body.length < 1000, `${answer.body.length} characters`)
  }
})

t.test('a detail is JSON, whatever strange characters it repeats', async t => {
  const answer = await send('/v2/known/manifests/%22%5C%0A%3Cscript%3E')
  const [entry] = errorEntries(answer.body)
  t.match(isRecord(entry?.detail) ? entry.detail : {}, { tag: '"\\\n<script>' })
  t.equal(answer.headers['x-content-type-options'], 'nosniff')
})
