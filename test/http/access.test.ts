import { randomBytes } from 'node:crypto'
import { fastify } from 'fastify'
import t, { type Test } from 'tap'
import { createOpenGuard } from '../../server/access/open.ts'
import { requireAccess } from '../../server/http/access.ts'
import { createOrigin } from '../../server/http/locations.ts'
import { digestOf } from '../../server/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../helpers/registry.ts'
import { routesOf } from '../helpers/routes.ts'

const type = 'application/vnd.oci.image.index.v1+json'
const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [] }))
const manifestDigest = digestOf(manifest, 'sha256')
const blob = randomBytes(100)
const blobDigest = digestOf(blob, 'sha256')
const layer = randomBytes(100)
const layerDigest = digestOf(layer, 'sha256')

/** One mode each of `storage.maintenance.readonly` and `storage.delete`. */
const modes = {
  open: { readOnly: false, deletes: true },
  noDeletes: { readOnly: false, deletes: false },
  readOnly: { readOnly: true, deletes: true },
  readOnlyNoDeletes: { readOnly: true, deletes: false },
}
type Mode = keyof typeof modes

const always = (status: number): Record<Mode, number> => ({
  open: status,
  noDeletes: status,
  readOnly: status,
  readOnlyNoDeletes: status,
})
const writes = (status: number) => ({ ...always(405), open: status, noDeletes: status })
const deletes = (status: number) => ({ ...always(405), open: status })

interface Row {
  route: string
  method: string
  /** The path to ask for; UPLOAD stands for that of a new upload. */
  path: string
  body?: Buffer
  expected: Record<Mode, number>
}

/** Every route and method that there is, in an order in which each still finds what it needs. */
const table: Row[] = [
  ...['GET', 'HEAD'].flatMap((method): Row[] => [
    { route: '/', method, path: '/', expected: always(200) },
    { route: '/livez', method, path: '/livez', expected: always(200) },
    { route: '/readyz', method, path: '/readyz', expected: always(200) },
    { route: '/v2/', method, path: '/v2/', expected: always(200) },
    { route: '/v2/_catalog', method, path: '/v2/_catalog', expected: always(200) },
    { route: '/v2/:name/tags/list', method, path: '/v2/a/b/tags/list', expected: always(200) },
    {
      route: '/v2/:name/referrers/:digest',
      method,
      path: `/v2/a/b/referrers/${manifestDigest}`,
      expected: always(200),
    },
    { route: '/v2/:name/manifests/:reference', method, path: '/v2/a/b/manifests/latest', expected: always(200) },
    { route: '/v2/:name/blobs/:digest', method, path: `/v2/a/b/blobs/${blobDigest}`, expected: always(200) },
    { route: '/v2/:name/blobs/uploads/:upload', method, path: 'UPLOAD', expected: writes(204) },
  ]),
  { route: '/v2/:name/uploads', method: 'POST', path: '/v2/a/b/blobs/uploads/', expected: writes(202) },
  { route: '/v2/:name/blobs/uploads/:upload', method: 'PATCH', path: 'UPLOAD', body: layer, expected: writes(202) },
  {
    route: '/v2/:name/blobs/uploads/:upload',
    method: 'PUT',
    path: `UPLOAD?digest=${layerDigest}`,
    body: layer,
    expected: writes(201),
  },
  { route: '/v2/:name/blobs/uploads/:upload', method: 'DELETE', path: 'UPLOAD', expected: writes(204) },
  {
    route: '/v2/:name/manifests/:reference',
    method: 'PUT',
    path: '/v2/a/b/manifests/again',
    body: manifest,
    expected: writes(201),
  },
  {
    route: '/v2/:name/manifests/:reference',
    method: 'DELETE',
    path: '/v2/a/b/manifests/latest',
    expected: deletes(202),
  },
  { route: '/v2/:name/blobs/:digest', method: 'DELETE', path: `/v2/a/b/blobs/${blobDigest}`, expected: deletes(202) },
]

interface World {
  registries: Record<Mode, TestRegistry>
  /** The path of a new upload. */
  begin: () => Promise<string>
}

async function startWorld(t: Test): Promise<World> {
  const open = await startRegistry(t, { access: modes.open })
  const rest = { databaseUrl: open.databaseUrl, root: open.root }
  const registries = {
    open,
    noDeletes: await startRegistry(t, { ...rest, access: modes.noDeletes }),
    readOnly: await startRegistry(t, { ...rest, access: modes.readOnly }),
    readOnlyNoDeletes: await startRegistry(t, { ...rest, access: modes.readOnlyNoDeletes }),
  }
  const upload = await fetch(`${open.url}/v2/a/b/blobs/uploads/?digest=${blobDigest}`, { method: 'POST', body: blob })
  if (upload.status !== 201) throw new Error('the blob was not taken')
  const put = { method: 'PUT', headers: { 'content-type': type }, body: manifest }
  const pushed = await fetch(`${open.url}/v2/a/b/manifests/latest`, put)
  if (pushed.status !== 201) throw new Error('the manifest was not taken')
  return {
    registries,
    async begin() {
      const response = await fetch(`${open.url}/v2/a/b/blobs/uploads/`, { method: 'POST' })
      return new URL(response.headers.get('location') ?? '').pathname
    },
  }
}

t.test('the table has every route and method there is, and no other', async t => {
  const { app } = await startRegistry(t)
  const listed = table.map(({ method, route }) => `${method} ${route}`)
  t.same(listed.toSorted(), routesOf(app).toSorted())
})

t.test('each route and method in each mode', async t => {
  const { registries, begin } = await startWorld(t)
  const order: Mode[] = ['readOnlyNoDeletes', 'readOnly', 'noDeletes', 'open']
  for (const mode of order) {
    for (const { method, path, body, expected } of table) {
      const target = path.startsWith('UPLOAD') ? path.replace('UPLOAD', await begin()) : path
      const init = body === undefined ? { method } : { method, body, headers: { 'content-type': type } }
      const response = await fetch(registries[mode].url + target, init)
      t.equal(response.status, expected[mode], `${mode}: ${method} ${path}`)
      if (response.status === 405 && method !== 'HEAD') {
        const { errors } = (await response.json()) as { errors: { code: string; message: string }[] }
        t.match(errors, [{ code: 'UNSUPPORTED', message: mode.startsWith('readOnly') ? /read-only/ : /deleting/i }])
      } else await response.arrayBuffer()
    }
  }
})

t.test('a method that a path does not know is answered with those that it knows', async t => {
  const { registries } = await startWorld(t)
  const { url } = registries.open
  const paths = new Map<string, string[]>()
  for (const { method, path } of table) {
    const target = path.startsWith('UPLOAD') ? '/v2/a/b/blobs/uploads/00000000-0000-4000-8000-000000000000' : path
    paths.set(target, [...(paths.get(target) ?? []), method])
  }
  // Two rows of one route, with different tags.
  for (const path of [...paths.keys()].filter(path => path.includes('/manifests/')))
    paths.set(path, ['GET', 'HEAD', 'PUT', 'DELETE'])
  for (const [path, known] of paths) {
    const allow = [...new Set(known)].toSorted().join(', ')
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      if (known.includes(method)) continue
      const response = await fetch(url + path, { method })
      t.equal(response.status, 405, `${method} ${path}`)
      t.equal(response.headers.get('allow'), allow, `${method} ${path}`)
      await response.arrayBuffer()
    }
  }
})

t.test('a route that does not say who may use it does not start', async t => {
  const app = fastify()
  const origin = createOrigin({ host: 'http://localhost', prefix: '/', relative: false })
  requireAccess(app, { readOnly: false, deletes: true, guard: createOpenGuard(), origin })
  t.throws(() => app.get('/v2/secret', async () => 'x'), { message: /GET \/v2\/secret declares no access/ })
})
