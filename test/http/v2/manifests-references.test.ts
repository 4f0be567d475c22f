import t from 'tap'
import type { Digest } from '../../../server/oci/digest.ts'
import {
  artifact,
  configType,
  type Content,
  contentOf,
  type Descriptor,
  descriptorOf,
  image,
  imageType,
  index,
  indexType,
  jsonContent,
  layerType,
  randomBlob,
} from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { digestAt, errorsOf, pushBlob, pushImage, pushManifest, putManifest, refusalOf } from './requests.ts'

const { url } = await startRegistry(t)
const dockerImage = 'application/vnd.docker.distribution.manifest.v2+json'
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'

function indexWith(manifests: readonly object[]): Content {
  return jsonContent({ schemaVersion: 2, mediaType: indexType, manifests }, indexType)
}

/** What is said to be missing, one digest for each error. */
async function missingIn(response: Response): Promise<unknown[]> {
  const errors = await errorsOf(response)
  return errors.map(({ code, detail }) => (code === 'MANIFEST_BLOB_UNKNOWN' ? detail : code))
}

t.test('[71] an image whose blobs are missing is refused with one error for each', async t => {
  const one = image({ layers: [randomBlob(), randomBlob(), randomBlob()] })
  const [first, second, third] = one.layers
  if (first === undefined || second === undefined || third === undefined) throw new Error('three layers')
  await pushBlob(url, 'missing', second)
  const response = await putManifest(url, 'missing', 'v1', one.manifest)
  t.equal(response.status, 400)
  const missing = [one.config.digest, first.digest, third.digest].map(digest => ({ digest }))
  t.same(await missingIn(response), missing)
  t.equal(await digestAt(url, 'missing', 'v1'), undefined)
  t.equal(await digestAt(url, 'missing', one.manifest.digest), undefined)

  for (const blob of one.blobs) await pushBlob(url, 'missing', blob)
  await pushManifest(url, 'missing', 'v1', one.manifest)
})

t.test('[71] a blob that is missing twice is one error', async t => {
  const layer = randomBlob()
  const response = await putManifest(url, 'missing-twice', 'v1', image({ layers: [layer, layer] }).manifest)
  t.equal((await missingIn(response)).length, 2, 'the config and the layer')
})

t.test('[71] a blob that only another repository has is missing', async t => {
  const one = image()
  await pushImage(url, 'theirs', one)
  await pushBlob(url, 'mine', one.config)
  const response = await putManifest(url, 'mine', 'v1', one.manifest)
  t.same(
    await missingIn(response),
    one.layers.map(({ digest }) => ({ digest })),
  )
})

t.test('a refused manifest leaves no repository behind', async t => {
  for (const { manifest } of [image(), { manifest: index([image().manifest]) }])
    t.match(await missingIn(await putManifest(url, 'never', 'v1', manifest)), [{ digest: /^sha256:/ }])
  t.equal(await refusalOf(await fetch(`${url}/v2/never/tags/list`)), '404 NAME_UNKNOWN')
})

t.test('a manifest that tells a wrong size of a blob is refused, wherever it tells it', async t => {
  const layer = randomBlob(100)
  const config = jsonContent({}, configType)
  for (const blob of [layer, config]) await pushBlob(url, 'sizes', blob)
  const put = (layers: Descriptor[], configSize = config.bytes.length) => {
    const body = { schemaVersion: 2, config: { ...descriptorOf(config), size: configSize }, layers }
    return putManifest(url, 'sizes', 'v1', jsonContent(body, imageType))
  }
  const right = descriptorOf(layer)
  const wrong = { ...right, size: 99 }
  for (const response of [put([wrong]), put([right], 3), put([right, wrong]), put([wrong, right])]) {
    const refused = await response
    t.equal(refused.status, 400)
    t.match(await errorsOf(refused), [{ code: 'MANIFEST_INVALID', message: /size of content/ }])
  }
  t.equal((await put([right, right])).status, 201)
})

t.test('[70] a subject that is not there is no hindrance', async t => {
  const subject = image().manifest
  const signature = artifact('application/vnd.example.signature', { subject })
  const push = await pushImage(url, 'no-subject', signature, 'v1')
  t.equal(push.headers.get('oci-subject'), subject.digest)
  const list = await pushManifest(url, 'no-subject', 'v2', index([], { subject }))
  t.equal(list.headers.get('oci-subject'), subject.digest)
})

t.test('[79] OCI-Subject is the digest of the subject, by tag and by digest, and absent without one', async t => {
  const subject = image()
  t.equal((await pushImage(url, 'subject', subject, 'v1')).headers.get('oci-subject'), null)
  const signature = artifact('application/vnd.example.signature', { subject: subject.manifest })
  for (const reference of ['sig', signature.manifest.digest]) {
    const push = await pushImage(url, 'subject', signature, reference)
    t.equal(push.headers.get('oci-subject'), subject.manifest.digest)
  }
  const long = image({ algorithm: 'sha512' }).manifest
  const push = await pushImage(url, 'subject', artifact('application/vnd.example.signature', { subject: long }))
  t.equal(push.headers.get('oci-subject'), long.digest)
})

t.test('[77] layers with URLs, and foreign ones, need no blob', async t => {
  const config = jsonContent({}, configType)
  await pushBlob(url, 'foreign', config)
  const absent = descriptorOf(randomBlob())
  const foreign = [
    { ...absent, urls: ['https://example.com/layer'] },
    { ...absent, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' },
    {
      ...absent,
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      urls: ['https://go.example.com/a'],
    },
  ]
  for (const layer of foreign) {
    const body = { schemaVersion: 2, config: descriptorOf(config), layers: [layer] }
    t.equal((await putManifest(url, 'foreign', 'v1', jsonContent(body, imageType))).status, 201)
  }
  const plain = { schemaVersion: 2, config: descriptorOf(config), layers: [{ ...absent, urls: [] }] }
  t.same(await missingIn(await putManifest(url, 'foreign', 'v1', jsonContent(plain, imageType))), [
    { digest: absent.digest },
  ])
})

t.test('which URLs layers may name is a setting', async t => {
  const strict = await startRegistry(t, {
    rules: { urls: { allow: [/^https:\/\/(?:www\.)?example\.com\//], deny: [/\/secret\//] } },
  })
  const config = jsonContent({}, configType)
  await pushBlob(strict.url, 'urls', config)
  const put = (...urls: string[]) => {
    const layers = [{ ...descriptorOf(randomBlob()), urls }]
    const body = { schemaVersion: 2, config: descriptorOf(config), layers }
    return putManifest(strict.url, 'urls', 'v1', jsonContent(body, imageType))
  }
  t.equal((await put('https://example.com/a', 'https://www.example.com/b')).status, 201)
  const refused = [
    'https://example.com/secret/a',
    'https://elsewhere.example/a',
    'http://example.com/a',
    'ftp://example.com/a',
    'file:///etc/passwd',
    'javascript:https://example.com/a',
    '',
  ]
  for (const one of refused) {
    const response = await put('https://example.com/a', one)
    t.equal(response.status, 400, one)
    t.match(await errorsOf(response), [
      { code: 'MANIFEST_INVALID', message: /validation\.manifests\.urls/, detail: { url: one } },
    ])
  }
})

t.test('without a list of allowed URLs, all of the web are allowed that are not denied', async t => {
  const { url } = await startRegistry(t, { rules: { urls: { allow: [], deny: [/^https:\/\/internal\./] } } })
  const put = (one: string) => {
    const config = { ...descriptorOf(jsonContent({}, configType)), urls: [one] }
    return putManifest(url, 'urls', 'v1', jsonContent({ schemaVersion: 2, config, layers: [] }, imageType))
  }
  t.equal((await put('https://example.com/a')).status, 201)
  for (const one of ['https://internal.example.com/a', 'file:///etc/passwd'])
    t.equal(await refusalOf(await put(one)), '400 MANIFEST_INVALID', one)
})

t.test('[78] an index of images, an index of indexes, and an empty index are taken', async t => {
  const [amd, arm] = [image(), image({ architecture: 'arm64' })]
  for (const one of [amd, arm]) await pushImage(url, 'index', one)
  const list = index([amd.manifest, arm.manifest])
  await pushManifest(url, 'index', 'list', list)
  const nested = index([list, amd.manifest])
  await pushManifest(url, 'index', 'nested', nested)
  await pushManifest(url, 'index', 'deeper', index([nested]))
  await pushManifest(url, 'index', 'empty', index([]))
  const pulled = await fetch(`${url}/v2/index/manifests/nested`)
  t.equal(pulled.headers.get('content-type'), indexType)
  t.equal(await pulled.text(), nested.bytes.toString())
})

t.test('[71] an index whose children are missing is refused with one error for each', async t => {
  const [here, gone, far] = [image(), image(), image()]
  await pushImage(url, 'children', here)
  await pushImage(url, 'elsewhere', far)
  const list = index([gone.manifest, here.manifest, far.manifest])
  const response = await putManifest(url, 'children', 'v1', list)
  t.equal(response.status, 400)
  t.same(await missingIn(response), [{ digest: gone.manifest.digest }, { digest: far.manifest.digest }])

  await pushImage(url, 'children', gone)
  await pushImage(url, 'children', far)
  await pushManifest(url, 'children', 'v1', list)
  await fetch(`${url}/v2/children/manifests/${gone.manifest.digest}`, { method: 'DELETE' })
  const again = await putManifest(url, 'children', 'v2', list)
  t.same(await missingIn(again), [{ digest: gone.manifest.digest }], 'a deleted child is missing')
})

t.test('an index may list blobs, as the caches of builds do', async t => {
  // What BuildKit exports with type=registry,image-manifest=false: layers, and its own configuration as the last.
  const [layer, other] = [randomBlob(50), randomBlob(60)]
  const config = jsonContent({ layers: [], records: [] }, 'application/vnd.buildkit.cacheconfig.v0')
  const cache = indexWith([layer, other, config].map(content => descriptorOf(content)))
  for (const blob of [layer, config]) await pushBlob(url, 'cache', blob)
  t.same(await missingIn(await putManifest(url, 'cache', 'buildcache', cache)), [{ digest: other.digest }])
  await pushBlob(url, 'cache', other)
  await pushManifest(url, 'cache', 'buildcache', cache)

  const blob = `${url}/v2/cache/blobs/${layer.digest}`
  t.equal(await refusalOf(await fetch(blob, { method: 'DELETE' })), '405 UNSUPPORTED', 'the cache needs its blobs')
  await fetch(`${url}/v2/cache/manifests/${cache.digest}`, { method: 'DELETE' })
  t.equal((await fetch(blob, { method: 'DELETE' })).status, 202)

  await pushBlob(url, 'cache', layer)
  const wrong = indexWith([{ ...descriptorOf(layer), size: 51 }])
  t.equal(await refusalOf(await putManifest(url, 'cache', 'v2', wrong)), '400 MANIFEST_INVALID')
})

t.test('[71] a manifest of an unknown type needs what it lists, as an image does', async t => {
  const type = 'application/vnd.oci.artifact.manifest.v1+json'
  const blob = randomBlob()
  const manifest = jsonContent(
    { mediaType: type, artifactType: 'application/vnd.example', blobs: [descriptorOf(blob)] },
    type,
  )
  t.same(await missingIn(await putManifest(url, 'old-artifact', 'v1', manifest)), [{ digest: blob.digest }])
  await pushBlob(url, 'old-artifact', blob)
  await pushManifest(url, 'old-artifact', 'v1', manifest)
  const pulled = await fetch(`${url}/v2/old-artifact/manifests/v1`)
  t.equal(pulled.headers.get('content-type'), type)
  await pulled.arrayBuffer()
})

t.test('[71] with the setting for it, images may come before their blobs', async t => {
  const sparse = await startRegistry(t, { rules: { absentBlobs: true } })
  const one = image()
  const layer = one.layers[0]
  if (layer === undefined) throw new Error('one layer')
  await pushManifest(sparse.url, 'sparse', 'v1', one.manifest)
  const pulled = await fetch(`${sparse.url}/v2/sparse/manifests/v1`)
  t.equal(await pulled.text(), one.manifest.bytes.toString())
  t.equal(await refusalOf(await fetch(`${sparse.url}/v2/sparse/blobs/${layer.digest}`)), '404 BLOB_UNKNOWN')

  await pushBlob(sparse.url, 'sparse', layer)
  const deletion = await fetch(`${sparse.url}/v2/sparse/blobs/${layer.digest}`, { method: 'DELETE' })
  t.equal(await refusalOf(deletion), '405 UNSUPPORTED', 'a blob that comes later is needed as well')

  const wrong = { schemaVersion: 2, config: { ...descriptorOf(layer), size: 1 }, layers: [] }
  const refused = await putManifest(sparse.url, 'sparse', 'v2', jsonContent(wrong, imageType))
  t.equal(await refusalOf(refused), '400 MANIFEST_INVALID', 'what is there must have the size')
})

/** An image whose config and so many layers are as large as a number may be. */
function hugeImage(layers: number): Content {
  const descriptors = Array.from({ length: layers + 1 }, (_, at) => ({
    mediaType: layerType,
    digest: `sha256:${String(at).padStart(64, '0')}`,
    size: Number.MAX_SAFE_INTEGER,
  }))
  return jsonContent({ schemaVersion: 2, config: descriptors[0], layers: descriptors.slice(1) }, imageType)
}

t.test('sizes whose sum nobody can have are refused, even where blobs may be absent', async t => {
  const sparse = await startRegistry(t, { rules: { absentBlobs: true } })
  await pushManifest(sparse.url, 'huge', 'v1', hugeImage(0))
  for (const layers of [1, 2000]) {
    const refused = await putManifest(sparse.url, 'huge', 'v2', hugeImage(layers))
    t.equal(await refusalOf(refused), '400 MANIFEST_INVALID', `${layers} layers`)
  }
})

function childOf(platform: Descriptor['platform']): { digest: Digest; descriptor: Descriptor } {
  const { manifest } = image()
  return { digest: manifest.digest, descriptor: descriptorOf(manifest, platform === undefined ? {} : { platform }) }
}

t.test(
  '[71] with the setting for it, indexes may come before their children: all of them, or of some platforms',
  async t => {
    const linux = childOf({ os: 'linux', architecture: 'amd64' })
    const arm = childOf({ os: 'linux', architecture: 'arm64' })
    const windows = childOf({ os: 'windows', architecture: 'amd64' })
    const unnamed = childOf(undefined)
    const list = indexWith([linux, arm, windows, unnamed].map(({ descriptor }) => descriptor))

    const none = await startRegistry(t, { rules: { children: 'none' } })
    await pushManifest(none.url, 'sparse', 'v1', list)

    const some = await startRegistry(t, { rules: { children: [{ os: 'linux', architecture: 'amd64' }] } })
    t.same(
      await missingIn(await putManifest(some.url, 'sparse', 'v1', list)),
      [linux].map(({ digest }) => ({ digest })),
    )
    await pushManifest(some.url, 'sparse', 'v1', indexWith([arm, windows, unnamed].map(({ descriptor }) => descriptor)))

    const all = await startRegistry(t, { rules: { children: 'all' } })
    t.same(
      await missingIn(await putManifest(all.url, 'sparse', 'v1', list)),
      [linux, arm, windows, unnamed].map(({ digest }) => ({ digest })),
    )
  },
)

t.test('docker’s images and lists are kept as what they are', async t => {
  const config = jsonContent({ architecture: 'amd64', os: 'linux' }, 'application/vnd.docker.container.image.v1+json')
  const layer = contentOf(randomBlob().bytes, 'application/vnd.docker.image.rootfs.diff.tar.gzip')
  const body = { schemaVersion: 2, mediaType: dockerImage, config: descriptorOf(config), layers: [descriptorOf(layer)] }
  const manifest = jsonContent(body, dockerImage)
  await pushImage(url, 'docker', { blobs: [config, layer], manifest }, 'v1')
  const platform = { architecture: 'amd64', os: 'linux', 'os.version': '10.0', variant: 'v8', features: ['sse4'] }
  const list = jsonContent(
    { schemaVersion: 2, mediaType: dockerList, manifests: [{ ...descriptorOf(manifest), platform }] },
    dockerList,
  )
  await pushManifest(url, 'docker', 'list', list)
  for (const [tag, content] of [
    ['v1', manifest],
    ['list', list],
  ] as const) {
    const pulled = await fetch(`${url}/v2/docker/manifests/${tag}`)
    t.equal(pulled.headers.get('content-type'), content.mediaType)
    t.equal(await pulled.text(), content.bytes.toString())
  }
})

t.test('thousands of layers and children are no trouble', async t => {
  const config = jsonContent({}, configType)
  await pushBlob(url, 'many', config)
  const one = descriptorOf(config)
  const layers = Array.from({ length: 5000 }, () => one)
  await pushManifest(url, 'many', 'same', jsonContent({ schemaVersion: 2, config: one, layers }, imageType))
  const absent = Array.from({ length: 5000 }, (_, at) => ({ ...one, digest: `sha256:${String(at).padStart(64, '0')}` }))
  const refused = await putManifest(
    url,
    'many',
    'v1',
    jsonContent({ schemaVersion: 2, config: one, layers: absent }, imageType),
  )
  t.equal((await missingIn(refused)).length, 5000)
  t.equal((await missingIn(await putManifest(url, 'many', 'v1', indexWith(absent)))).length, 5000)
})

t.test('an index that tells a wrong size of a child is refused', async t => {
  const child = image()
  await pushImage(url, 'children/sizes', child)
  const lie = { ...descriptorOf(child.manifest), size: child.manifest.bytes.length + 1 }
  const refused = await putManifest(
    url,
    'children/sizes',
    'v1',
    jsonContent({ schemaVersion: 2, mediaType: indexType, manifests: [lie] }, indexType),
  )
  t.equal(refused.status, 400)
  t.match(await errorsOf(refused), [{ code: 'MANIFEST_INVALID', message: /size of content/ }])
})
