import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { digestOf } from '../../../server/oci/digest.ts'
import { manifestLimit } from '../../../server/oci/manifest.ts'
import { type Content, contentOf, descriptorOf, image, imageType, index, indexType } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import {
  errorEntries,
  errorsOf,
  pushBlob,
  pushImage,
  pushManifest,
  putManifest,
  refusalOf,
  statusOf,
} from './requests.ts'

const registry = await startRegistry(t)
const { url } = registry
const manifestsOf = (repository: string) => `${url}/v2/${repository}/manifests`

/** An index of exactly so many bytes. */
function indexOf(size: number): Content {
  const padding = size - index([], { annotations: { a: '' } }).bytes.length
  return index([], { annotations: { a: 'x'.repeat(padding) } })
}

t.test('[15] [18] a manifest can be had by tag and by digest, with GET and HEAD', async t => {
  const { manifest, ...rest } = image()
  await pushImage(url, 'pull', { manifest, ...rest }, 'v1')
  for (const reference of ['v1', manifest.digest]) {
    const get = await fetch(`${manifestsOf('pull')}/${reference}`)
    t.equal(get.status, 200)
    t.equal(get.headers.get('docker-content-digest'), manifest.digest)
    t.same(Buffer.from(await get.arrayBuffer()), manifest.bytes)

    const head = await fetch(`${manifestsOf('pull')}/${reference}`, { method: 'HEAD' })
    t.equal(head.status, 200)
    t.equal(head.headers.get('docker-content-digest'), manifest.digest)
    t.equal(await head.text(), '')
    for (const name of ['content-type', 'content-length', 'etag', 'cache-control'])
      t.equal(head.headers.get(name), get.headers.get(name), `HEAD and GET agree on ${name}`)
  }
})

t.test('[16] an unknown repository, tag or digest is 404, and says which', async t => {
  await pushImage(url, 'known', image(), 'v1')
  const digest = digestOf(Buffer.from('never pushed'))
  const refusals = {
    'unknown/manifests/v1': '404 NAME_UNKNOWN',
    [`unknown/manifests/${digest}`]: '404 NAME_UNKNOWN',
    'known/manifests/v2': '404 MANIFEST_UNKNOWN',
    [`known/manifests/${digest}`]: '404 MANIFEST_UNKNOWN',
  }
  for (const [path, refusal] of Object.entries(refusals)) {
    t.equal(await refusalOf(await fetch(`${url}/v2/${path}`)), refusal, path)
    const head = await fetch(`${url}/v2/${path}`, { method: 'HEAD' })
    t.equal(head.status, 404)
    t.equal(await head.text(), '', 'HEAD has no body')
  }
})

t.test('[16] a manifest of one repository is unknown to another, though its blobs are the same', async t => {
  const one = image()
  await pushImage(url, 'owner', one, 'v1')
  for (const blob of one.blobs) await pushBlob(url, 'other', blob)
  t.equal(await refusalOf(await fetch(`${manifestsOf('other')}/${one.manifest.digest}`)), '404 MANIFEST_UNKNOWN')
})

t.test('[17] [66] the bytes come back as they were pushed, white space, order and odd escapes included', async t => {
  const texts = [
    `{ "schemaVersion" : 2,\r\n\t"mediaType":"${indexType}", "manifests": [] }\n\n`,
    `{"manifests":[],"schemaVersion":2.0,"mediaType":"${indexType}","zz":1e2,"a\\u0000":"\\u0000"}`,
    `{"schemaVersion":2,"manifests":null,"annotations":{"k":"\\ud800 \\/ é 😀 \\u00e9"}}`,
  ]
  for (const [at, body] of texts.entries()) {
    const manifest = contentOf(body, indexType)
    const push = await pushManifest(url, 'bytes', `v${at}`, manifest)
    t.equal(push.headers.get('docker-content-digest'), manifest.digest)
    const pull = await fetch(`${manifestsOf('bytes')}/v${at}`)
    t.same(Buffer.from(await pull.arrayBuffer()), manifest.bytes)
    t.equal(digestOf(manifest.bytes), pull.headers.get('docker-content-digest'))
  }
})

t.test('[18] [64] pushed and asked by sha512, a manifest has its sha512 digest', async t => {
  const one = image({ algorithm: 'sha512' })
  const push = await pushImage(url, 'sha512', one)
  t.match(one.manifest.digest, /^sha512:/)
  t.equal(push.headers.get('docker-content-digest'), one.manifest.digest)
  const pull = await fetch(`${manifestsOf('sha512')}/${one.manifest.digest}`)
  t.equal(pull.headers.get('docker-content-digest'), one.manifest.digest)
  t.same(Buffer.from(await pull.arrayBuffer()), one.manifest.bytes)

  // The same bytes by tag have the digest that clients compute by default.
  const tagged = await pushManifest(url, 'sha512', 'v1', one.manifest)
  t.equal(tagged.headers.get('docker-content-digest'), digestOf(one.manifest.bytes))
})

t.test('[19] Content-Length is the number of bytes, on GET and on HEAD, and nothing is compressed', async t => {
  const manifest = index([], { annotations: { long: 'é'.repeat(50_000) } })
  await pushManifest(url, 'length', 'v1', manifest)
  for (const method of ['GET', 'HEAD']) {
    const response = await fetch(`${manifestsOf('length')}/v1`, { method, headers: { 'accept-encoding': 'gzip, br' } })
    t.equal(response.headers.get('content-length'), String(manifest.bytes.length), method)
    t.equal(response.headers.get('content-encoding'), null)
    t.equal(response.headers.get('transfer-encoding'), null)
    await response.arrayBuffer()
  }
})

t.test('[20] [65] [67] the type is the one it was pushed with, without parameters', async t => {
  const plain = contentOf('{"schemaVersion":2,"manifests":[]}', 'x/y')
  const types: [pushed: string, pulled: string][] = [
    [indexType, indexType],
    [`${indexType}; charset=utf-8`, indexType],
    [
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.docker.distribution.manifest.list.v2+json',
    ],
    ['application/vnd.example.unknown.v1+json;a="b"', 'application/vnd.example.unknown.v1+json'],
    ['application/json', indexType],
  ]
  for (const [at, [pushed, pulled]] of types.entries()) {
    const push = await putManifest(url, `type-${at}`, 'v1', { ...plain, mediaType: pushed })
    t.equal(push.status, 201, pushed)
    const response = await fetch(push.headers.get('location') ?? '')
    t.equal(response.headers.get('content-type'), pulled)
    t.equal(await response.text(), plain.bytes.toString())
  }
})

t.test('[21] [22] what a client says to accept does not keep it from getting the manifest', async t => {
  const one = image()
  await pushImage(url, 'accept', one, 'v1')
  const docker = 'application/vnd.docker.distribution.manifest.v2+json'
  const lists: [string, string][][] = [
    [['accept', '*/*']],
    [['accept', docker]],
    [['accept', 'text/html']],
    [['accept', `${docker}, ${imageType}`]],
    [
      ['accept', docker],
      ['accept', imageType],
    ],
    [['accept', ';;;']],
    [['accept', '']],
  ]
  for (const headers of lists) {
    const response = await fetch(`${manifestsOf('accept')}/v1`, { headers })
    t.equal(response.status, 200, JSON.stringify(headers))
    t.equal(response.headers.get('content-type'), imageType)
    await response.arrayBuffer()
  }
  const bare = await new Promise<number>((resolve, reject) => {
    // fetch always sends an Accept.
    request(`${manifestsOf('accept')}/v1`, { agent: false }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .once('error', reject)
      .end()
  })
  t.equal(bare, 200, 'without the header')
})

const get = (reference: string, headers: Record<string, string>) =>
  fetch(`${manifestsOf('etag')}/${reference}`, { headers })

t.test('[23] the ETag is the quoted digest, and a client that has it is told 304', async t => {
  const one = image()
  await pushImage(url, 'etag', one, 'v1')
  const { digest } = one.manifest
  const other = digestOf(Buffer.from('other'))

  for (const reference of ['v1', digest]) {
    const plain = await get(reference, {})
    t.equal(plain.headers.get('etag'), `"${digest}"`)
    await plain.arrayBuffer()
    for (const tag of [`"${digest}"`, `W/"${digest}"`, digest, '*', `"${other}", "${digest}"`]) {
      const response = await get(reference, { 'if-none-match': tag })
      t.equal(response.status, 304, tag)
      t.equal(response.headers.get('etag'), `"${digest}"`)
      t.equal(await response.text(), '')
    }
    t.equal((await get(reference, { 'if-none-match': `"${other}"` })).status, 200)
    t.equal((await get(reference, { 'if-match': `"${digest}"` })).status, 200)
    t.equal(await refusalOf(await get(reference, { 'if-match': `"${other}"` })), '412 MANIFEST_INVALID')
  }
})

async function cacheControl(reference: string): Promise<string | null> {
  return (await fetch(`${manifestsOf('cache')}/${reference}`, { method: 'HEAD' })).headers.get('cache-control')
}

t.test('[24] caches may keep what a digest names for ever, and must ask again for a tag', async t => {
  const one = image()
  await pushImage(url, 'cache', one, 'v1')
  t.match(await cacheControl(one.manifest.digest), /max-age=31536000, immutable/)
  t.equal(await cacheControl('v1'), 'no-cache')
})

t.test('[64] [65] a push is answered 201 with the digest and a Location that can be had at once', async t => {
  const one = image()
  for (const reference of ['v1', one.manifest.digest]) {
    const push = await pushImage(url, 'push', one, reference)
    t.equal(push.headers.get('docker-content-digest'), one.manifest.digest)
    const location = push.headers.get('location') ?? ''
    t.equal(location, `${manifestsOf('push')}/${one.manifest.digest}`)
    t.same(Buffer.from(await (await fetch(location)).arrayBuffer()), one.manifest.bytes)
  }
})

t.test('a push again of the same manifest is 201 again, and a tag moves to the newest', async t => {
  const [one, two] = [image(), image()]
  for (const next of [one, one, two, one]) {
    await pushImage(url, 'again', next, 'latest')
    const head = await fetch(`${manifestsOf('again')}/latest`, { method: 'HEAD' })
    t.equal(head.headers.get('docker-content-digest'), next.manifest.digest)
  }
  t.equal(await statusOf(`${manifestsOf('again')}/${two.manifest.digest}`), 200, 'the other stays, by its digest')
})

t.test('[68] a Content-Type unlike the mediaType within is refused', async t => {
  const { manifest } = image()
  t.equal(
    await refusalOf(await putManifest(url, 'mix', 'v1', { ...manifest, mediaType: indexType })),
    '400 MANIFEST_INVALID',
  )
})

for (const way of ['with a Content-Length', 'in chunks'] as const) {
  t.test(`[69] a manifest of 4 MiB is taken, and one of a byte more is 413, ${way}`, async t => {
    const put = ({ bytes }: Content) =>
      fetch(`${manifestsOf('large')}/v1`, {
        method: 'PUT',
        headers: { 'content-type': indexType },
        ...(way === 'in chunks'
          ? { body: ReadableStream.from(chunksOf(bytes)), duplex: 'half' }
          : { body: new Uint8Array(bytes) }),
      })
    const largest = indexOf(manifestLimit)
    t.equal(largest.bytes.length, 4 * 1024 * 1024)
    const push = await put(largest)
    t.equal(push.status, 201)
    t.same(Buffer.from(await (await fetch(`${manifestsOf('large')}/v1`)).arrayBuffer()).compare(largest.bytes), 0)

    const refused = await put(indexOf(manifestLimit + 1))
    t.equal(refused.status, 413)
    t.match(await errorsOf(refused), [{ code: 'MANIFEST_INVALID', message: /4194304/ }])
    t.equal(await statusOf(`${manifestsOf('large')}/v1`), 200, 'the connection goes on')
  })
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

t.test('[69] a body announced as far too large is refused before it comes', async t => {
  const answer = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const put = request(`${manifestsOf('large')}/v1`, {
      method: 'PUT',
      agent: false,
      headers: { 'content-type': indexType, 'content-length': 10_000_000_000, connection: 'keep-alive' },
    })
    put.once('response', response => {
      text(response).then(body => {
        put.destroy()
        resolve({ status: response.statusCode, body })
      }, reject)
    })
    put.once('error', reject)
    put.flushHeaders()
  })
  t.equal(answer.status, 413)
  t.match(errorEntries(answer.body), [{ code: 'MANIFEST_INVALID' }])
})

t.test('[72] a body that has not the digest of the URL is refused, and not kept', async t => {
  const one = image()
  for (const blob of one.blobs) await pushBlob(url, 'mismatch', blob)
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const claimed = digestOf(Buffer.from('something else'), algorithm)
    const response = await putManifest(url, 'mismatch', claimed, one.manifest)
    t.equal(response.status, 400)
    t.match(await errorsOf(response), [
      { code: 'DIGEST_INVALID', detail: { expected: claimed, actual: digestOf(one.manifest.bytes, algorithm) } },
    ])
    t.equal(await statusOf(`${manifestsOf('mismatch')}/${claimed}`), 404)
  }
  t.equal(await statusOf(`${manifestsOf('mismatch')}/${one.manifest.digest}`), 404)
})

t.test('[73] a digest in the URL that is none is refused, whatever the method', async t => {
  const { manifest } = image()
  const bad = ['sha256:abc', `sha256:${'A'.repeat(64)}`, `md5:${'0'.repeat(32)}`, ':', `SHA256:${'0'.repeat(64)}`]
  for (const reference of bad) {
    t.equal(await refusalOf(await putManifest(url, 'bad', reference, manifest)), '400 DIGEST_INVALID', reference)
    for (const method of ['GET', 'DELETE'])
      t.equal(await refusalOf(await fetch(`${manifestsOf('bad')}/${reference}`, { method })), '400 DIGEST_INVALID')
  }
})

t.test('[74] [75] images without layers, and of types and fields that nobody knows, are taken and kept', async t => {
  const config = contentOf('what a config is, its type says', 'application/vnd.example.config.v3')
  const layer = contentOf('what a layer is as well', 'application/vnd.example.layer; q=1')
  for (const blob of [config, layer]) await pushBlob(url, 'unknown-types', blob)
  const bodies = [
    { config: descriptorOf(config), layers: [] },
    { config: descriptorOf(config), layers: null },
    { config: descriptorOf(config), layers: [descriptorOf(layer)], artifactType: 'application/vnd.example.unheard-of' },
    { config: descriptorOf(config), layers: [], 'org.example': { any: [1, null, { thing: true }] }, Layers: 'x' },
  ]
  for (const [at, body] of bodies.entries()) {
    const manifest = contentOf(JSON.stringify({ schemaVersion: 2, mediaType: imageType, ...body }), imageType)
    await pushManifest(url, 'unknown-types', `v${at}`, manifest)
    t.equal(await (await fetch(`${manifestsOf('unknown-types')}/v${at}`)).text(), manifest.bytes.toString())
  }
})

t.test('[76] a config embedded as data is taken, but needs its blob all the same', async t => {
  const config = contentOf('{}', 'application/vnd.oci.empty.v1+json')
  const descriptor = { ...descriptorOf(config), data: config.bytes.toString('base64') }
  const manifest = contentOf(JSON.stringify({ schemaVersion: 2, config: descriptor, layers: [] }), imageType)
  t.equal(await refusalOf(await putManifest(url, 'data', 'v1', manifest)), '400 MANIFEST_BLOB_UNKNOWN')
  await pushBlob(url, 'data', config)
  await pushManifest(url, 'data', 'v1', manifest)
})

t.test('[83] a body that is no manifest is refused', async t => {
  const bodies = [
    '',
    'hello',
    '[]',
    'null',
    '{',
    '\ufeff{}',
    '{"schemaVersion":2,"schemaVersion":2}',
    '['.repeat(100_000),
  ]
  for (const body of [...bodies, '{}', '{"schemaVersion":2}', '{"schemaVersion":2,"config":{},"layers":[]}']) {
    const response = await putManifest(url, 'no-manifest', 'v1', contentOf(body, imageType))
    t.equal(await refusalOf(response), '400 MANIFEST_INVALID', body.slice(0, 50))
  }
  t.equal(
    await refusalOf(await fetch(`${url}/v2/no-manifest/tags/list`)),
    '404 NAME_UNKNOWN',
    'no repository came of it',
  )
})

t.test('a Content-Type that says nothing, or is missing, leaves it to the body', async t => {
  const one = image()
  for (const blob of one.blobs) await pushBlob(url, 'typeless', blob)
  for (const type of ['application/json', 'application/octet-stream', undefined]) {
    const response = await fetch(`${manifestsOf('typeless')}/v1`, {
      method: 'PUT',
      headers: type === undefined ? {} : { 'content-type': type },
      body: new Uint8Array(one.manifest.bytes),
    })
    t.equal(response.status, 201, String(type))
    const head = await fetch(`${manifestsOf('typeless')}/v1`, { method: 'HEAD' })
    t.equal(head.headers.get('content-type'), imageType)
  }
})

t.test('a Content-Type that is not that of a manifest is refused in the envelope', async t => {
  const refusals = {
    nonsense: '415 UNSUPPORTED',
    'a/b/c': '415 UNSUPPORTED',
    '*/*': '400 MANIFEST_INVALID',
    'text/html': '400 MANIFEST_INVALID',
    'application/vnd.oci.image.layer.v1.tar': '400 MANIFEST_INVALID',
  }
  for (const [mediaType, refusal] of Object.entries(refusals)) {
    const body = contentOf('{"schemaVersion":2,"manifests":[]}', mediaType)
    t.equal(await refusalOf(await putManifest(url, 'typeless', 'v2', body)), refusal, mediaType)
  }
})

t.test('schema 1 is refused with words that help', async t => {
  const body = { schemaVersion: 1, name: 'a', tag: 'b', architecture: 'amd64', fsLayers: [], history: [] }
  const types = ['v1+json', 'v1+prettyjws'].map(end => `application/vnd.docker.distribution.manifest.${end}`)
  for (const mediaType of [...types, 'application/json']) {
    const response = await putManifest(url, 'schema1', 'v1', contentOf(JSON.stringify(body), mediaType))
    t.equal(response.status, 400)
    t.match(await errorsOf(response), [{ code: 'MANIFEST_INVALID', message: /schema 1 .*schema 2 or OCI/ }])
  }
})
