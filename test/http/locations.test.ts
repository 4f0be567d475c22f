import { request } from 'node:http'
import { once } from 'node:events'
import t from 'tap'
import { startRegistry, type TestRegistry } from '../helpers/registry.ts'
import { open } from './connection.ts'

/** The Location of a new upload for a client that sends these headers, without the part that is its id. */
async function locationFor(
  { url }: Pick<TestRegistry, 'url'>,
  headers: Record<string, string> = {},
  path = '/v2/a/blobs/uploads/',
) {
  const { hostname, port } = new URL(url)
  const sent = request({ hostname, port, path, method: 'POST', headers: { host: 'registry.test', ...headers } }).end()
  const [response] = await once(sent, 'response')
  response.resume()
  if (response.statusCode !== 202) throw new Error(`no upload was begun: ${response.statusCode}`)
  return String(response.headers.location).replace(/[0-9a-f-]{36}$/, 'ID')
}

const own = 'http://registry.test/v2/a/blobs/uploads/ID'

t.test('Location has the name by which the client calls the registry', async t => {
  const registry = await startRegistry(t)
  t.equal(await locationFor(registry), own)
  t.equal(
    await locationFor(registry, { host: 'registry.test:5000' }),
    'http://registry.test:5000/v2/a/blobs/uploads/ID',
  )
  t.equal(await locationFor(registry, { host: '[::1]:5000' }), 'http://[::1]:5000/v2/a/blobs/uploads/ID')
})

t.test('proxies tell what the client calls it: Forwarded first, then X-Forwarded-*', async t => {
  const registry = await startRegistry(t)
  const table: [Record<string, string>, string][] = [
    [{ 'x-forwarded-proto': 'https' }, 'https://registry.test'],
    [{ 'x-forwarded-proto': 'HTTPS' }, 'https://registry.test'],
    [{ 'x-forwarded-host': 'outside.test' }, 'http://outside.test'],
    [{ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'outside.test:8443' }, 'https://outside.test:8443'],
    [{ 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'outside.test, inner.test' }, 'https://outside.test'],
    [{ forwarded: 'for=192.0.2.1;proto=https;host=outside.test' }, 'https://outside.test'],
    [{ forwarded: 'proto=https;host="outside.test:8443", for=10.0.0.1;host=inner.test' }, 'https://outside.test:8443'],
    [
      { forwarded: 'proto=https', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'outside.test' },
      'https://outside.test',
    ],
    [{ forwarded: 'for=192.0.2.1' }, 'http://registry.test'],
    [{ forwarded: 'host="[2001:db8::1]:5000"' }, 'http://[2001:db8::1]:5000'],
    [{ 'x-forwarded-for': '192.0.2.1', 'x-forwarded-port': '99', 'x-forwarded-prefix': '/p' }, 'http://registry.test'],
    [{ 'x-forwarded-proto': '', 'x-forwarded-host': '' }, 'http://registry.test'],
    [{ forwarded: 'not;a=valid"one' }, 'http://registry.test'],
  ]
  for (const [headers, origin] of table) {
    t.equal(await locationFor(registry, headers), `${origin}/v2/a/blobs/uploads/ID`, JSON.stringify(headers))
  }
})

t.test('what can not be a name is never sent back', async t => {
  const registry = await startRegistry(t)
  const hosts = [
    'a b',
    'a\tb',
    'evil.test/path',
    'evil.test?x',
    'evil.test#x',
    'user@evil.test',
    'evil.test\\@x',
    '"evil"',
    '<script>',
    'evil.test:port',
    'evil.test:123456',
    '[evil]',
    '::1',
    'evil%0d%0a.test',
    'x'.repeat(300),
    'é.test',
    ';',
    '"',
  ]
  for (const host of hosts) {
    const text = Buffer.from(host).toString('latin1')
    t.equal(await locationFor(registry, { 'x-forwarded-host': text }), '/v2/a/blobs/uploads/ID', host.slice(0, 30))
    const quoted = text.replaceAll(/["\\]/g, String.raw`\$&`)
    t.match(
      await locationFor(registry, { forwarded: `host="${quoted}"` }),
      /^(?:http:\/\/registry\.test)?\/v2\/a\//,
      `Forwarded: ${host.slice(0, 30)}`,
    )
  }
  for (const scheme of [
    'javascript',
    'ftp',
    'file',
    'data',
    'https://evil.test/?',
    'ht tp',
    'https\tx',
    'x'.repeat(5000),
  ]) {
    t.equal(await locationFor(registry, { 'x-forwarded-proto': scheme }), '/v2/a/blobs/uploads/ID', scheme.slice(0, 30))
    t.match(
      await locationFor(registry, { forwarded: `proto="${scheme}"` }),
      /^(?:http:\/\/registry\.test)?\/v2\/a\//,
      `Forwarded: ${scheme.slice(0, 30)}`,
    )
  }
})

t.test('a line break in such a header makes no header of the answer', async t => {
  const registry = await startRegistry(t)
  for (const name of ['X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'Host']) {
    for (const value of [
      'evil\r\nSet-Cookie: a=b',
      'evil\rSet-Cookie: a=b',
      'evil\nSet-Cookie: a=b',
      'host="evil\r\n Set-Cookie: a=b"',
    ]) {
      const connection = await open(registry.url)
      const host = name === 'Host' ? '' : 'Host: registry.test\r\n'
      connection.send(`POST /v2/a/blobs/uploads/ HTTP/1.1\r\n${host}${name}: ${value}\r\nContent-Length: 0\r\n\r\n`)
      const { head } = await connection.answer()
      t.notMatch(head, /set-cookie/i)
      connection.close()
    }
  }
})

t.test('a client of HTTP/1.0 that names no host gets a path', async t => {
  const registry = await startRegistry(t)
  const connection = await open(registry.url)
  connection.send('POST /v2/a/blobs/uploads/ HTTP/1.0\r\nContent-Length: 0\r\n\r\n')
  const { status, headers } = await connection.answer()
  t.equal(status, 202)
  t.match(headers['location'], /^\/v2\/a\/blobs\/uploads\/[0-9a-f-]{36}$/)
  await connection.closed
})

t.test('http.host wins over everything that a request says', async t => {
  for (const host of ['https://fixed.test:8443', 'https://fixed.test:8443/']) {
    const registry = await startRegistry(t, { locations: { host } })
    const headers = { forwarded: 'proto=http;host=evil.test', 'x-forwarded-host': 'evil.test' }
    t.equal(await locationFor(registry, headers), 'https://fixed.test:8443/v2/a/blobs/uploads/ID')
  }
})

t.test('http.relativeurls makes paths, with http.host too', async t => {
  const registry = await startRegistry(t, { locations: { relative: true, host: 'https://fixed.test' } })
  t.equal(await locationFor(registry, { 'x-forwarded-proto': 'https' }), '/v2/a/blobs/uploads/ID')
  const below = await startRegistry(t, { locations: { relative: true, prefix: '/my/' } })
  t.equal(await locationFor(below, {}, '/my/v2/a/blobs/uploads/'), '/my/v2/a/blobs/uploads/ID')
})

t.test('with http.prefix everything stands below it, and nothing beside it but health', async t => {
  const registry = await startRegistry(t, { locations: { prefix: '/my/registry/' } })
  const { url } = registry
  const status = async (path: string, init?: RequestInit) => (await fetch(url + path, init)).status
  const table: [string, number][] = [
    ['/my/registry/v2/', 200],
    ['/my/registry/v2', 200],
    ['/my/registry/v2/_catalog', 200],
    ['/my/registry/v2/a/tags/list', 404],
    ['/my/registry/', 200],
    ['/my/registry', 200],
    ['/v2/', 404],
    ['/v2/_catalog', 404],
    ['/my/v2/', 404],
    ['/my/registryx/v2/', 404],
    ['/my', 404],
    ['/other/my/registry/v2/', 404],
    ['/.outside/v2/', 404],
    ['/', 200],
    ['/livez', 200],
    ['/readyz', 200],
  ]
  for (const [path, expected] of table) t.equal(await status(path), expected, path)
  const outside = await fetch(`${url}/v2/a/manifests/latest`)
  t.match(await outside.json(), { errors: [{ code: 'UNSUPPORTED', detail: { path: '/v2/a/manifests/latest' } }] })

  const location = await locationFor(registry, {}, '/my/registry/v2/a/blobs/uploads/')
  t.equal(location, 'http://registry.test/my/registry/v2/a/blobs/uploads/ID')
  const begun = await fetch(`${url}/my/registry/v2/a/blobs/uploads/`, { method: 'POST' })
  t.equal((await fetch(begun.headers.get('location') ?? '')).status, 204, 'what it leads to is there')
})

t.test('Link has the prefix, and leads to the next page', async t => {
  const registry = await startRegistry(t, { locations: { prefix: '/my/' } })
  const type = 'application/vnd.oci.image.index.v1+json'
  const body = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [] })
  for (const name of ['one', 'two', 'three']) {
    const put = await fetch(`${registry.url}/my/v2/${name}/manifests/latest`, {
      method: 'PUT',
      headers: { 'content-type': type },
      body,
    })
    t.equal(put.status, 201)
    t.match(put.headers.get('location'), new RegExp(`^${registry.url}/my/v2/${name}/manifests/sha256:`))
  }
  const first = await fetch(`${registry.url}/my/v2/_catalog?n=2`)
  const [, next = ''] = /^<([^>]*)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? []
  t.match(next, /\/my\/v2\/_catalog\?/)
  t.same(await (await fetch(new URL(next, first.url))).json(), { repositories: ['two'] })
})
