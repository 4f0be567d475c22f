import t from 'tap'
import { type ApiClient, field } from '../../helpers/accounts.ts'
import { image, index } from '../../helpers/images.ts'
import {
  expecting,
  loginOf,
  pull,
  pushAs,
  pushManifestAs,
  rowsOf,
  startWorld,
  statusesOf,
  type World,
} from './world.ts'

const app = '/repository/team/app'
const owner = loginOf('owner')

/** The list's tags, each as `name digest`. */
async function listed(client: ApiClient, query = ''): Promise<string[]> {
  const { body } = await expecting(200, client.get(`${app}/tag/${query}`))
  return rowsOf(body, 'tags', 'name', 'manifest_digest')
}

/** Where a tag leads a client that pulls. */
async function digestAt({ url }: World, tag: string): Promise<string | null> {
  const response = await fetch(`${url}/v2/team/app/manifests/${tag}`, {
    method: 'HEAD',
    headers: { authorization: `Basic ${Buffer.from(owner.join(':')).toString('base64')}` },
  })
  return response.headers.get('docker-content-digest')
}

t.test('the list of tags is their history, and what is live where that is asked for', async t => {
  const { clients, url, content } = await startWorld(t)
  const one = content.manifest.digest
  const other = image()
  await pushAs(url, owner, 'team/app', other, 'latest')
  const two = other.manifest.digest
  const list = index([content.manifest, other.manifest])
  await pushManifestAs(url, owner, 'team/app', list, 'Multi')

  const { body } = await clients.reader.get(`${app}/tag/`)
  t.match(body, { page: 1, has_additional: false })
  t.match(field(body, 'tags', 0), { name: 'Multi', is_manifest_list: true, size: null, manifest_digest: list.digest })
  t.equal(field(body, 'tags', 0, 'end_ts'), undefined)
  t.match(field(body, 'tags', 1), {
    name: 'latest',
    reversion: false,
    start_ts: Number,
    manifest_digest: two,
    is_manifest_list: false,
    size: 1000 + other.config.bytes.length,
    last_modified: /-0000$/,
  })
  t.match(field(body, 'tags', 2), { name: 'latest', manifest_digest: one, end_ts: Number, expiration: /-0000$/ })
  const both = [`latest ${two}`, `latest ${one}`]
  t.strictSame(await listed(clients.reader), [`Multi ${list.digest}`, ...both])
  t.strictSame(await listed(clients.reader, '?onlyActiveTags=true'), [`Multi ${list.digest}`, `latest ${two}`])
  t.strictSame(await listed(clients.reader, '?specificTag=latest'), both)
  t.strictSame(await listed(clients.reader, '?specificTag=latest&onlyActiveTags=true'), [`latest ${two}`])
  t.strictSame(await listed(clients.reader, '?filter_tag_name=like:ATE'), both)
  t.strictSame(await listed(clients.reader, '?filter_tag_name=like:%25'), [], 'a character is only itself')
  t.strictSame(await listed(clients.reader, '?filter_tag_name=eq:Multi'), [`Multi ${list.digest}`])
  t.strictSame(await listed(clients.reader, '?filter_tag_name=eq:multi'), [])
  t.strictSame(await listed(clients.reader, '?filter_tag_name=like:mul&specificTag=latest'), [])
  t.strictSame(await listed(clients.reader, '?specificTag=no%2Ftag'), [])
  t.equal((await clients.reader.get(`${app}/tag/?filter_tag_name=than:x`)).status, 400)
  t.equal((await clients.reader.get(`${app}/tag/?filter_tag_name=like:a%00`)).status, 400)
  t.equal((await clients.reader.get(`${app}/tag/?limit=x`)).status, 400)

  const first = await clients.reader.get(`${app}/tag/?limit=2`)
  t.match(first.body, { page: 1, has_additional: true })
  t.equal((field(first.body, 'tags') as unknown[]).length, 2)
  t.match((await clients.reader.get(`${app}/tag/?limit=2&page=2`)).body, {
    page: 2,
    has_additional: false,
    tags: [{ manifest_digest: one }],
  })
  t.match((await clients.reader.get(`${app}/tag/?limit=0&page=-3`)).body, { page: 1, has_additional: true })
  t.strictSame((await clients.reader.get(`${app}/tag/?page=99999999`)).body, {
    tags: [],
    page: 1_000_000,
    has_additional: false,
  })
})

t.test('no page has more than 100 tags', async t => {
  const { clients, database } = await startWorld(t)
  await database.change({
    name: 'many_tags',
    text: `insert into tags (repository_id, name, manifest_id, lifetime_start)
           select m.repository_id, 'tag-' || n, m.id, now() - make_interval(secs => n) from manifests m, generate_series(1, 150) as n`,
  })
  t.equal((await listed(clients.reader, '?limit=1000')).length, 100)
  t.equal((await listed(clients.reader)).length, 50)
  t.equal((await listed(clients.reader, '?limit=100&page=2')).length, 51)
})

for (const sole of [true, false]) {
  t.test(`a tag is made, moved, ended and brought back, for who pulls at once (sole: ${sole})`, async t => {
    const world = await startWorld(t, { sole })
    const { clients, url, content } = world
    const one = content.manifest.digest
    const other = image()
    const two = other.manifest.digest
    await pushAs(url, owner, 'team/app', other)
    const { writer } = clients

    t.equal(await digestAt(world, 'latest'), one)
    const made = await writer.put(`${app}/tag/new`, { manifest_digest: two })
    t.equal(made.status, 201)
    t.equal(made.body, 'Updated')
    t.equal(await digestAt(world, 'new'), two)
    await expecting(201, writer.put(`${app}/tag/latest`, { manifest_digest: two }))
    t.equal(await digestAt(world, 'latest'), two, 'moved')
    await expecting(204, writer.delete(`${app}/tag/latest`))
    t.equal(await pull(url, owner, 'team/app/manifests/latest'), 404)
    t.equal((await writer.delete(`${app}/tag/latest`)).status, 404)

    const restored = await writer.post(`${app}/tag/latest/restore`, { manifest_digest: one })
    t.equal(restored.status, 200)
    t.strictSame(restored.body, {})
    t.equal(await digestAt(world, 'latest'), one)
    const { body } = await writer.get(`${app}/tag/?specificTag=latest`)
    const rows = field(body, 'tags') as unknown[]
    t.strictSame(
      rows.map(row => [field(row, 'reversion'), field(row, 'manifest_digest'), field(row, 'end_ts') === undefined]),
      [
        [true, one, true],
        [false, two, false],
        [false, one, false],
      ],
    )
  })

  t.test(`what was deleted by its digest comes back with its tag (sole: ${sole})`, async t => {
    const world = await startWorld(t, { sole })
    const { clients, url, content } = world
    const { digest } = content.manifest
    const remove = await fetch(`${url}/v2/team/app/manifests/${digest}`, {
      method: 'DELETE',
      headers: { authorization: `Basic ${Buffer.from(owner.join(':')).toString('base64')}` },
    })
    t.equal(remove.status, 202)
    t.equal(await pull(url, owner, `team/app/manifests/${digest}`), 404)
    t.equal((await clients.writer.put(`${app}/tag/latest`, { manifest_digest: digest })).status, 404, 'it is gone')
    await expecting(200, clients.writer.post(`${app}/tag/latest/restore`, { manifest_digest: digest }))
    t.equal(await pull(url, owner, `team/app/manifests/${digest}`), 200)
    t.equal(await digestAt(world, 'latest'), digest)
  })
}

t.test('a manifest whose blobs are gone is not brought back', async t => {
  const { clients, url, content } = await startWorld(t)
  const headers = { authorization: `Basic ${Buffer.from(owner.join(':')).toString('base64')}` }
  for (const path of [`manifests/${content.manifest.digest}`, `blobs/${content.config.digest}`]) {
    const { status } = await fetch(`${url}/v2/team/app/${path}`, { method: 'DELETE', headers })
    t.equal(status, 202)
  }
  const refused = await clients.writer.post(`${app}/tag/latest/restore`, { manifest_digest: content.manifest.digest })
  t.match(refused, {
    status: 400,
    body: { error_type: 'invalid_request', error_message: /not in the repository any more/ },
  })
})

t.test('changes of tags that are not understood are refused', async t => {
  const { clients, content } = await startWorld(t)
  const { writer } = clients
  const { digest } = content.manifest
  const unknown = image().manifest.digest
  for (const [what, body] of Object.entries({
    expiration: { expiration: 2_000_000_000 },
    'expiration beside a digest': { manifest_digest: digest, expiration: null },
    immutable: { immutable: true },
    nothing: {},
    null: { manifest_digest: null },
  }))
    t.match(await writer.put(`${app}/tag/x`, body), { status: 400, body: { error_type: 'invalid_request' } }, what)
  t.equal((await writer.put(`${app}/tag/-x`, { manifest_digest: digest })).status, 400)
  t.equal((await writer.put(`${app}/tag/x`, { manifest_digest: unknown })).status, 404)
  t.equal((await writer.put(`${app}/tag/x`, { manifest_digest: 'latest' })).status, 404)
  t.equal((await writer.post(`${app}/tag/x/restore`, { manifest_digest: unknown })).status, 404)
  t.equal((await writer.post(`${app}/tag/x/restore`, {})).status, 400)
  t.equal((await writer.delete(`${app}/tag/-x`)).status, 404)
  t.strictSame(await listed(clients.reader), [`latest ${digest}`])
})

t.test('tags are read by readers and changed by writers', async t => {
  const { clients, content } = await startWorld(t)
  const reads = await statusesOf(clients, client => client.get(`${app}/tag/`))
  t.strictSame(reads, {
    owner: 200,
    writer: 200,
    reader: 200,
    stranger: 403,
    superuser: 403,
    auditor: 200,
    nobody: 401,
  })
  const writes = { owner: 201, writer: 201, reader: 403, stranger: 403, superuser: 403, auditor: 403, nobody: 401 }
  const body = { manifest_digest: content.manifest.digest }
  t.strictSame(await statusesOf(clients, client => client.put(`${app}/tag/x`, body)), writes)
  const restores = await statusesOf(clients, client => client.post(`${app}/tag/x/restore`, body))
  t.strictSame(restores, { ...writes, owner: 200, writer: 200 })
  t.strictSame(
    await statusesOf(clients, (client, who) => client.delete(`${app}/tag/${who === 'owner' ? 'x' : 'latest'}`)),
    {
      ...writes,
      owner: 204,
      writer: 204,
    },
  )
})
