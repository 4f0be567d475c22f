import t from 'tap'
import { field } from '../../helpers/accounts.ts'
import {
  artifact,
  configType,
  descriptorOf,
  image,
  imageType,
  index,
  jsonContent,
  randomBlob,
} from '../../helpers/images.ts'
import { expecting, loginOf, pushAs, pushManifestAs, startWorld, statusesOf } from './world.ts'

const owner = loginOf('owner')
const pathOf = (digest: string) => `/repository/team/app/manifest/${digest}`

/** An image whose config has this beside what every config has. */
function imageWith(config: Record<string, unknown>, layers = [randomBlob(), randomBlob(2000)]) {
  const content = jsonContent({ architecture: 'amd64', os: 'linux', ...config }, configType)
  const manifest = jsonContent(
    {
      schemaVersion: 2,
      mediaType: imageType,
      config: descriptorOf(content),
      layers: layers.map(layer => descriptorOf(layer)),
    },
    imageType,
  )
  return { manifest, blobs: [content, ...layers], layers }
}

t.test('a manifest is shown with its layers and how they were made', async t => {
  const { clients, url } = await startWorld(t)
  const history = [
    { created: '2026-01-02T03:04:05.678Z', created_by: '/bin/sh -c #(nop) ADD file', author: 'me' },
    { created: '2026-01-02T03:04:06Z', created_by: 'ENV A=b', comment: 'buildkit', empty_layer: true },
    { created: 'never', created_by: '["npm","ci"]' },
  ]
  const made = imageWith({ history })
  await pushAs(url, owner, 'team/app', made, 'made')
  const { digest, bytes } = made.manifest
  const shown = await clients.reader.get(pathOf(digest))
  t.equal(shown.status, 200)
  t.strictSame(shown.body, {
    digest,
    is_manifest_list: false,
    manifest_data: bytes.toString(),
    config_media_type: configType,
    layers_compressed_size: 3000,
    layers: [
      {
        index: 0,
        compressed_size: 1000,
        is_remote: false,
        urls: null,
        command: ['/bin/sh -c #(nop) ADD file'],
        comment: null,
        author: 'me',
        blob_digest: made.layers[0]?.digest,
        created_datetime: 'Fri, 02 Jan 2026 03:04:05 -0000',
      },
      {
        index: 1,
        compressed_size: 32,
        is_remote: false,
        urls: null,
        command: ['ENV A=b'],
        comment: 'buildkit',
        author: null,
        blob_digest: 'sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4',
        created_datetime: 'Fri, 02 Jan 2026 03:04:06 -0000',
      },
      {
        index: 2,
        compressed_size: 2000,
        is_remote: false,
        urls: null,
        command: ['npm', 'ci'],
        comment: null,
        author: null,
        blob_digest: made.layers[1]?.digest,
        created_datetime: null,
      },
    ],
  })
})

t.test('what can not be read of a config is left out', async t => {
  const { clients, url } = await startWorld(t)
  const configs = [
    {},
    { history: [{ created_by: 'only one' }] },
    { history: 'x', config: { Labels: ['a'] } },
    { config: 1 },
  ]
  for (const config of configs) {
    const made = imageWith(config)
    await pushAs(url, owner, 'team/app', made)
    const { body } = await expecting(200, clients.reader.get(pathOf(made.manifest.digest)))
    const layers = field(body, 'layers') as unknown[]
    t.strictSame(
      layers.map(layer => [field(layer, 'blob_digest'), field(layer, 'command')]),
      made.layers.map(({ digest }) => [digest, null]),
    )
    const labels = await expecting(200, clients.reader.get(`${pathOf(made.manifest.digest)}/labels`))
    t.strictSame(labels.body, { labels: [] })
  }
})

t.test('an index has no layers, and an artifact has those that it lists', async t => {
  const { clients, url, content } = await startWorld(t)
  const list = index([content.manifest])
  await pushManifestAs(url, owner, 'team/app', list, 'list')
  t.match((await clients.reader.get(pathOf(list.digest))).body, {
    is_manifest_list: true,
    layers: null,
    layers_compressed_size: null,
    config_media_type: null,
  })
  t.strictSame((await clients.reader.get(`${pathOf(list.digest)}/labels`)).body, { labels: [] })
  const chart = artifact('application/vnd.example.chart', { layers: [randomBlob(500)] })
  await pushAs(url, owner, 'team/app', chart)
  t.match((await clients.reader.get(pathOf(chart.manifest.digest))).body, {
    is_manifest_list: false,
    layers: [{ compressed_size: 500, command: null }],
  })
})

t.test('labels of an image are shown, others are given to its manifest and taken away', async t => {
  const { clients, url } = await startWorld(t)
  const { writer, reader } = clients
  const made = imageWith({ config: { Labels: { 'org.opencontainers.image.title': 'App', data: '{"a":1}' } } })
  await pushAs(url, owner, 'team/app', made)
  const labels = `${pathOf(made.manifest.digest)}/labels`
  const { body } = await reader.get(labels)
  t.match(body, {
    labels: [
      {
        id: /^[0-9a-f-]{36}$/,
        key: 'org.opencontainers.image.title',
        value: 'App',
        source_type: 'manifest',
        media_type: 'text/plain',
      },
      { key: 'data', value: '{"a":1}', source_type: 'manifest', media_type: 'application/json' },
    ],
  })
  t.equal((field(body, 'labels') as unknown[]).length, 2)
  const title = String(field(body, 'labels', 0, 'id'))
  t.match((await reader.get(`${labels}/${title}`)).body, { key: 'org.opencontainers.image.title' })

  const added = await writer.post(labels, { key: 'team.stage', value: 'test', media_type: null })
  t.equal(added.status, 201)
  t.match(added.body, { label: { key: 'team.stage', value: 'test', source_type: 'api', media_type: 'text/plain' } })
  const id = String(field(added.body, 'label', 'id'))
  t.ok(added.headers.get('location')?.endsWith(`/api/v1${labels}/${id}`))
  t.match((await reader.get(`${labels}/${id}`)).body, { id, value: 'test' })
  await expecting(201, writer.post(labels, { key: 'team.stage', value: '[1]', media_type: null }))
  await expecting(201, writer.post(labels, { key: 'other', value: '[1]', media_type: 'text/plain' }))
  const filtered = field((await reader.get(`${labels}?filter=team.`)).body, 'labels') as unknown[]
  t.strictSame(
    filtered.map(label => [field(label, 'value'), field(label, 'media_type')]),
    [
      ['test', 'text/plain'],
      ['[1]', 'application/json'],
    ],
  )
  t.equal((field((await reader.get(`${labels}?filter=org`)).body, 'labels') as unknown[]).length, 1)
  t.equal((await writer.delete(`${labels}/${title}`)).status, 400, 'it is the image’s own')
  t.equal((await writer.delete(`${labels}/${id}`)).status, 204)
  t.equal((await writer.delete(`${labels}/${id}`)).status, 404)
  t.equal((await reader.get(`${labels}/${id}`)).status, 404)
  t.equal((await reader.get(`${labels}/nonsense`)).status, 404)
})

t.test('labels with reserved or wrong keys, and too many, are refused', async t => {
  const { clients, content, database } = await startWorld(t)
  const labels = `${pathOf(content.manifest.digest)}/labels`
  const add = (key: string, rest = {}) => clients.writer.post(labels, { key, value: 'x', media_type: null, ...rest })
  const reserved = [
    'com.docker.x',
    'org.opencontainers.image.title',
    'io.k8s.a',
    'quay.expires-after',
    'internal',
    'com.coreos-x',
  ]
  for (const key of reserved)
    t.match(await add(key), { status: 400, body: { error_message: 'Label has a reserved prefix' } }, key)
  for (const key of ['', 'A', 'a..b', '-a', 'a_b', 'a'.repeat(256)]) t.equal((await add(key)).status, 400, key)
  t.equal((await add('a', { media_type: 'text/html' })).status, 400)
  t.equal((await add('a', { value: 'a\0b' })).status, 400)
  t.equal((await add('a', { value: 'a'.repeat(70_000) })).status, 400)
  await database.change({
    name: 'many_labels',
    text: `insert into manifest_labels (manifest_id, key, value, media_type) select id, 'k', 'v', 'text/plain' from manifests, generate_series(1, 500)`,
  })
  t.match(await add('one-more'), { status: 400, body: { error_message: /500 labels/ } })
})

t.test('manifests and labels are read by readers and changed by writers', async t => {
  const { clients, content } = await startWorld(t)
  const path = pathOf(content.manifest.digest)
  const reads = { owner: 200, writer: 200, reader: 200, stranger: 403, superuser: 403, auditor: 200, nobody: 401 }
  t.strictSame(await statusesOf(clients, client => client.get(path)), reads)
  t.strictSame(await statusesOf(clients, client => client.get(`${path}/labels`)), reads)
  const writes = { ...reads, owner: 201, writer: 201, reader: 403, auditor: 403 }
  const body = { key: 'a', value: 'b', media_type: 'text/plain' }
  t.strictSame(await statusesOf(clients, client => client.post(`${path}/labels`, body)), writes)
  const unknown = pathOf(image().manifest.digest)
  for (const client of [clients.reader, clients.writer]) {
    t.equal((await client.get(unknown)).status, 404)
    t.equal((await client.get(`${unknown}/labels`)).status, 404)
  }
  t.equal((await clients.writer.post(`${unknown}/labels`, body)).status, 404)
  t.equal((await clients.owner.get('/repository/team/app/manifest/sha256:short')).status, 404)
  t.equal((await clients.owner.get('/repository/team/app/manifest/latest')).status, 404, 'that is another repository')
})
