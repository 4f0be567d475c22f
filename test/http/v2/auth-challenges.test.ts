import { join } from 'node:path'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import t from 'tap'
import { makeCertificates } from '../../../conformance/certificates.ts'
import { type Answer, ask } from '../../../conformance/http.ts'
import { digestOf } from '../../../server/oci/digest.ts'
import { basic, bearer, outcome, pushImage, tokenOf } from '../../helpers/access.ts'
import { makeUser, password, startWithAccounts } from '../../helpers/accounts.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { tlsFiles } from '../certificates.ts'

/** The parameters of a Bearer challenge. */
function challengeOf({ headers }: Answer): Record<string, string> {
  const text = String(headers['www-authenticate'])
  if (!text.startsWith('Bearer ')) throw new Error(`no Bearer challenge: ${text}`)
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]))
}

const digest = digestOf(Buffer.from('nothing'), 'sha256')

t.test('who says nothing of themselves is told where to get a token, and for what', async t => {
  const { url } = await startWithAccounts(t)
  const rows: [method: string, path: string, scope: string | undefined][] = [
    ['GET', '/v2/', undefined],
    ['HEAD', '/v2/', undefined],
    ['GET', '/v2/team/app/manifests/1', 'repository:team/app:pull'],
    ['HEAD', `/v2/team/app/blobs/${digest}`, 'repository:team/app:pull'],
    ['GET', '/v2/team/app/tags/list', 'repository:team/app:pull'],
    ['GET', `/v2/team/app/referrers/${digest}`, 'repository:team/app:pull'],
    ['PUT', '/v2/team/app/manifests/1', 'repository:team/app:pull,push'],
    ['POST', '/v2/team/app/blobs/uploads/', 'repository:team/app:pull,push'],
    [
      'POST',
      `/v2/team/app/blobs/uploads/?mount=${digest}&from=base/image`,
      'repository:team/app:pull,push repository:base/image:pull',
    ],
    ['POST', `/v2/team/app/blobs/uploads/?mount=${digest}&from=team/app`, 'repository:team/app:pull,push'],
    ['POST', `/v2/team/app/blobs/uploads/?mount=${digest}&from=No/Name`, 'repository:team/app:pull,push'],
    ['PATCH', '/v2/team/app/blobs/uploads/5f1d0a3e-8a4c-4a5e-9c0a-3f0a7f1f2b11', 'repository:team/app:pull,push'],
    ['DELETE', '/v2/team/app/manifests/1', 'repository:team/app:delete'],
    ['DELETE', `/v2/team/app/blobs/${digest}`, 'repository:team/app:delete'],
  ]
  for (const [method, path, scope] of rows) {
    const answer = await ask(url + path, { method })
    t.equal(answer.status, 401, `${method} ${path}`)
    t.same(challengeOf(answer), {
      realm: `${url}/v2/auth`,
      service: 'berth',
      ...(scope === undefined ? {} : { scope }),
    })
    t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
  }
})

t.test('a token that does not reach is told what would, and one that is over or wrong that it is', async t => {
  const registry = await startWithAccounts(t)
  const { url } = registry
  await makeUser(registry, 'alice')
  await pushImage(url, basic('alice', password), 'alice/app')
  const { token } = await tokenOf(url, basic('alice', password), { scope: 'repository:alice/app:pull' })
  const put = await ask(`${url}/v2/alice/app/manifests/1`, { method: 'PUT', headers: bearer(token) })
  t.equal(outcome(put), '401 UNAUTHORIZED')
  t.match(challengeOf(put), { error: 'insufficient_scope', scope: 'repository:alice/app:pull,push' })
  const mount = `${url}/v2/alice/app/blobs/uploads/?mount=${digest}&from=base/image`
  t.match(challengeOf(await ask(mount, { method: 'POST', headers: bearer(token) })), {
    error: 'insufficient_scope',
    scope: 'repository:alice/app:pull,push repository:base/image:pull',
  })
  t.match(challengeOf(await ask(`${url}/v2/alice/app/tags/list`, { headers: bearer('a.b.c') })), {
    error: 'invalid_token',
  })
  t.match(challengeOf(await ask(`${url}/v2/`, { headers: bearer('a.b.c') })), { error: 'invalid_token' })
  const wrong = await ask(`${url}/v2/`, { headers: basic('alice', 'wrongpass1') })
  t.notOk('error' in challengeOf(wrong), 'a wrong password has no word for it')
})

const realm = async (url: string, headers: Record<string, string>, ca?: string) =>
  challengeOf(await ask(`${url}/v2/`, { headers, ...(ca === undefined ? {} : { ca }) }))['realm']

t.test('the realm is where the client reaches the registry', async t => {
  const proxied = await startWithAccounts(t)
  const { url } = proxied
  t.equal(await realm(url, {}), `${url}/v2/auth`)
  t.equal(await realm(url, { host: 'registry.example.com:5000' }), 'http://registry.example.com:5000/v2/auth')
  t.equal(
    await realm(url, { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.example.com' }),
    'https://registry.example.com/v2/auth',
  )
  t.equal(
    await realm(url, { 'x-forwarded-proto': 'https', host: 'registry.example.com' }),
    'https://registry.example.com/v2/auth',
  )
  t.equal(
    await realm(url, { forwarded: 'proto=https;host="registry.example.com:8443"' }),
    'https://registry.example.com:8443/v2/auth',
  )

  const named = await startWithAccounts(t, { locations: { host: 'https://registry.example.com' } })
  t.equal(await realm(named.url, { host: 'inside:5000' }), 'https://registry.example.com/v2/auth')
  const relative = await startWithAccounts(t, { locations: { relative: true } })
  t.equal(await realm(relative.url, {}), `${relative.url}/v2/auth`, 'a realm is never relative')
})

t.test('below a prefix the realm and the token service are there as well', async t => {
  const registry = await startRegistry(t, { auth: { accounts: {} }, locations: { prefix: '/hub/' } })
  const { url } = registry
  await makeUser(registry, 'alice')
  t.equal(challengeOf(await ask(`${url}/hub/v2/`))['realm'], `${url}/hub/v2/auth`)
  await pushImage(`${url}/hub`, basic('alice', password), 'alice/app')
  const { token } = await tokenOf(`${url}/hub`, basic('alice', password), { scope: 'repository:alice/app:pull' })
  t.equal((await ask(`${url}/hub/v2/alice/app/manifests/1`, { headers: bearer(token) })).status, 200)
  t.equal((await ask(`${url}/v2/auth`)).status, 404)
})

t.test('over TLS the realm is https', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'challenges-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const files = await makeCertificates(folder, ['127.0.0.1'])
  const { url } = await startRegistry(t, { auth: { accounts: {} }, tls: tlsFiles(files) })
  const answer = await ask(`${url}/v2/`, { ca: files.ca })
  t.match(url, /^https:/)
  t.equal(challengeOf(answer)['realm'], `${url}/v2/auth`)
  t.equal(outcome(await ask(`${url}/v2/auth`, { ca: files.ca })), '401 UNAUTHORIZED')
})
