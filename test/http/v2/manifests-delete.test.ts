import t from 'tap'
import { digestOf } from '../../../server/oci/digest.ts'
import { artifact, type Content, image, index } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import {
  digestAt,
  errorsOf,
  isRecord,
  pushBlob,
  pushImage,
  pushManifest,
  putManifest,
  refusalOf,
  statusOf,
} from './requests.ts'

const { url } = await startRegistry(t)

function remove(repository: string, reference: string): Promise<Response> {
  return fetch(`${url}/v2/${repository}/manifests/${reference}`, { method: 'DELETE' })
}

function get(repository: string, reference: string): Promise<Response> {
  return fetch(`${url}/v2/${repository}/manifests/${reference}`)
}

async function tagsOf(repository: string): Promise<unknown> {
  const body: unknown = await (await fetch(`${url}/v2/${repository}/tags/list`)).json()
  return isRecord(body) ? body['tags'] : undefined
}

t.test('[105] a deleted tag is 202, and 404 from the next request on; its manifest and other tags stay', async t => {
  const { manifest, ...rest } = image()
  await pushImage(url, 'tag', { manifest, ...rest }, 'v1')
  await pushManifest(url, 'tag', 'v2', manifest)
  const deletion = await remove('tag', 'v1')
  t.equal(deletion.status, 202)
  t.equal(await deletion.text(), '')
  t.equal(await refusalOf(await get('tag', 'v1')), '404 MANIFEST_UNKNOWN')
  t.same(await tagsOf('tag'), ['v2'])
  t.equal(await digestAt(url, 'tag', 'v2'), manifest.digest)
  t.equal(await digestAt(url, 'tag', manifest.digest), manifest.digest)
  t.equal(await refusalOf(await remove('tag', 'v1')), '404 MANIFEST_UNKNOWN', 'a second time')

  await pushManifest(url, 'tag', 'v1', manifest)
  t.equal(await digestAt(url, 'tag', 'v1'), manifest.digest, 'a tag can come back')
})

t.test('[106] a manifest deleted by digest is 202, and 404 with all its tags from the next request on', async t => {
  const { manifest, ...rest } = image()
  const other = image()
  for (const tag of ['a', 'b', 'c']) await pushImage(url, 'digest', { manifest, ...rest }, tag)
  await pushImage(url, 'digest', other, 'd')
  await pushImage(url, 'elsewhere', { manifest, ...rest }, 'a')
  t.equal((await remove('digest', manifest.digest)).status, 202)
  for (const reference of [manifest.digest, 'a', 'b', 'c']) {
    t.equal(await refusalOf(await get('digest', reference)), '404 MANIFEST_UNKNOWN', reference)
    t.equal(await statusOf(`${url}/v2/digest/manifests/${reference}`, { method: 'HEAD' }), 404)
  }
  t.same(await tagsOf('digest'), ['d'])
  t.equal(await refusalOf(await remove('digest', manifest.digest)), '404 MANIFEST_UNKNOWN', 'a second time')
  t.equal(await digestAt(url, 'elsewhere', 'a'), manifest.digest, 'another repository keeps it')
})

t.test('[106] pushed again, a deleted manifest is back, without its old tags', async t => {
  const { manifest, ...rest } = image()
  await pushImage(url, 'back', { manifest, ...rest }, 'old')
  for (let round = 0; round < 3; round++) {
    t.equal((await remove('back', manifest.digest)).status, 202)
    t.equal(await digestAt(url, 'back', manifest.digest), undefined)
    await pushManifest(url, 'back', 'new', manifest)
    const pulled = await get('back', manifest.digest)
    t.same(Buffer.from(await pulled.arrayBuffer()), manifest.bytes)
    t.same(await tagsOf('back'), ['new'])
  }
})

t.test('[106] the type of what was pushed stays, until it was deleted', async t => {
  const body = Buffer.from('{"schemaVersion":2,"manifests":[]}')
  const types = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json']
  const [first, second] = types.map(mediaType => ({ bytes: body, digest: digestOf(body), mediaType }))
  if (first === undefined || second === undefined) throw new Error('there are two')
  await pushManifest(url, 'types', 'v1', first)
  t.equal(await refusalOf(await putManifest(url, 'types', 'v2', second)), '400 MANIFEST_INVALID')
  t.equal((await get('types', 'v1')).headers.get('content-type'), first.mediaType)
  await remove('types', first.digest)
  await pushManifest(url, 'types', 'v1', second)
  t.equal((await get('types', 'v1')).headers.get('content-type'), second.mediaType)
})

t.test('[107] what is not there is 404, and says whether it is the repository or the manifest', async t => {
  await pushImage(url, 'known', image(), 'v1')
  const digest = digestOf(Buffer.from('never pushed'))
  t.equal(await refusalOf(await remove('known', 'v2')), '404 MANIFEST_UNKNOWN')
  t.equal(await refusalOf(await remove('known', digest)), '404 MANIFEST_UNKNOWN')
  t.equal(await refusalOf(await remove('unknown', 'v1')), '404 NAME_UNKNOWN')
  t.equal(await refusalOf(await remove('unknown', digest)), '404 NAME_UNKNOWN')
})

t.test('[107] where deleting is switched off it is 405, and nothing goes', async t => {
  const registry = await startRegistry(t, { access: { deletes: false } })
  const one = image()
  await pushImage(registry.url, 'kept', one, 'v1')
  for (const path of [
    `manifests/v1`,
    `manifests/${one.manifest.digest}`,
    `blobs/${one.config.digest}`,
    'manifests/absent',
  ]) {
    const response = await fetch(`${registry.url}/v2/kept/${path}`, { method: 'DELETE' })
    t.equal(response.status, 405, path)
    t.match(await errorsOf(response), [{ code: 'UNSUPPORTED', message: /storage\.delete\.enabled/ }])
  }
  t.equal(await digestAt(registry.url, 'kept', 'v1'), one.manifest.digest)
})

t.test('[107] a read-only registry takes and deletes nothing: 405', async t => {
  const writable = await startRegistry(t)
  const one = image()
  await pushImage(writable.url, 'kept', one, 'v1')
  const registry = await startRegistry(t, { access: { readOnly: true }, databaseUrl: writable.databaseUrl })
  const at = (path: string) => `${registry.url}/v2/kept/${path}`
  const requests: [string, RequestInit][] = [
    ['manifests/v1', { method: 'DELETE' }],
    [`manifests/${one.manifest.digest}`, { method: 'DELETE' }],
    ['manifests/v2', { method: 'PUT', body: new Uint8Array(one.manifest.bytes) }],
    [`blobs/${one.config.digest}`, { method: 'DELETE' }],
    ['blobs/uploads/', { method: 'POST' }],
  ]
  for (const [path, init] of requests) {
    const response = await fetch(at(path), init)
    t.equal(response.status, 405, `${init.method} ${path}`)
    t.match(await errorsOf(response), [{ code: 'UNSUPPORTED', message: /read-only/ }])
  }
  t.equal(await digestAt(registry.url, 'kept', 'v1'), one.manifest.digest, 'and can be pulled from')
  t.equal(await digestAt(registry.url, 'kept', 'v2'), undefined)
})

t.test('[109] a repository stays when its last tag and manifest go', async t => {
  const one = image()
  await pushImage(url, 'last', one, 'v1')
  await remove('last', one.manifest.digest)
  t.same(await tagsOf('last'), [])
  t.equal(await refusalOf(await get('last', 'v1')), '404 MANIFEST_UNKNOWN', 'and is not unknown')
  await pushManifest(url, 'last', 'v1', one.manifest)
  t.same(await tagsOf('last'), ['v1'], 'its blobs are there still')
})

t.test('an index outlives its children, and a subject its referrers', async t => {
  const child = image()
  await pushImage(url, 'family', child)
  const list = index([child.manifest])
  await pushManifest(url, 'family', 'list', list)
  const signature = artifact('application/vnd.example.signature', { subject: child.manifest })
  await pushImage(url, 'family', signature)
  t.equal((await remove('family', child.manifest.digest)).status, 202)
  t.equal(await digestAt(url, 'family', 'list'), list.digest)
  t.equal(await digestAt(url, 'family', signature.manifest.digest), signature.manifest.digest)
})

t.test('a blob can be deleted once the last manifest that needs it is', async t => {
  const shared = image()
  const other = image({ layers: shared.layers, architecture: 'arm64' })
  const [layer] = shared.layers
  if (layer === undefined) throw new Error('one layer')
  for (const one of [shared, other]) await pushImage(url, 'needs', one)
  const removeBlob = () => fetch(`${url}/v2/needs/blobs/${layer.digest}`, { method: 'DELETE' })
  t.equal(await refusalOf(await removeBlob()), '405 UNSUPPORTED')
  await remove('needs', shared.manifest.digest)
  t.equal(await refusalOf(await removeBlob()), '405 UNSUPPORTED', 'the other needs it still')
  await remove('needs', other.manifest.digest)
  t.equal((await removeBlob()).status, 202)
  t.equal(await refusalOf(await putManifest(url, 'needs', 'v1', shared.manifest)), '400 MANIFEST_BLOB_UNKNOWN')
  await pushBlob(url, 'needs', layer)
  await pushManifest(url, 'needs', 'v1', shared.manifest)
})

t.test('deleting a tag while others move it finds it, every time', async t => {
  const manifests: Content[] = Array.from({ length: 10 }, (_, at) => index([], { annotations: { at: `${at}` } }))
  for (let round = 0; round < 5; round++) {
    await pushManifest(url, 'moving', 'v1', index([]))
    // The tag is there from before the first to after the last of these: a 404 would be a lie.
    const [deletion] = await Promise.all([
      remove('moving', 'v1'),
      ...manifests.map(manifest => pushManifest(url, 'moving', 'v1', manifest)),
    ])
    t.equal(deletion.status, 202, `round ${round}`)
  }
})
