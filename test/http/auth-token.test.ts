import t, { type Test } from 'tap'
import { fingerprintOf } from '../../server/access/external-keys.ts'
import { accessTo, createSigner, issuer, service, signToken, tamper, type TokenWish } from '../access/token-service.ts'
import { image, randomBlob } from '../helpers/images.ts'
import { startRegistry, type TestRegistryOptions } from '../helpers/registry.ts'
import { asking } from './asking.ts'

const folder = t.testdir()
const root = await createSigner(folder, 'root', { authority: true, algorithm: 'RS256' })
const leaf = await createSigner(folder, 'leaf', { by: root })
const kid = fingerprintOf(root.certificate.publicKey)
const realm = 'https://auth.example.com/token'
const settings = { realm, service, issuer, rootcertbundle: root.file }
const now = () => Math.floor(Date.now() / 1000)

/** A registry that takes the tokens of `root`. */
async function start(t: Test, token: Record<string, unknown> = {}, rest: TestRegistryOptions = {}) {
  const { url } = await startRegistry(t, { ...rest, auth: { token: { ...settings, ...token } } })
  const bearing = (token: string) => asking(url, { authorization: `Bearer ${token}` })
  return {
    url,
    nobody: asking(url),
    bearing,
    /** Who has a token of this access. */
    with: async (access: TokenWish['access'] = [], claims: TokenWish['claims'] = {}) =>
      bearing(await signToken(root, { header: { kid }, access, claims })),
  }
}

/** For those who change nothing that another one looks at. */
const shared = await start(t)

t.test('who has no token is told where to get one, and for what', async t => {
  const { nobody, url } = shared
  const challenge = async (method: string, path: string, client = nobody) => {
    const { status, headers } = await client.ask(method, path)
    t.equal(status, 401, `${method} ${path}`)
    return headers['www-authenticate']
  }
  const first = `Bearer realm="${realm}",service="${service}"`
  t.equal(await challenge('GET', '/v2/'), first)
  t.equal(await challenge('GET', '/v2/a/b/manifests/latest'), `${first},scope="repository:a/b:pull"`)
  t.equal(await challenge('POST', '/v2/a/b/blobs/uploads/'), `${first},scope="repository:a/b:pull,push"`)
  t.equal(
    await challenge('POST', '/v2/a/b/blobs/uploads/?mount=sha256:1&from=c'),
    `${first},scope="repository:a/b:pull,push repository:c:pull"`,
  )
  t.equal(await challenge('DELETE', '/v2/a/b/manifests/latest'), `${first},scope="repository:a/b:delete"`)
  t.equal(await challenge('GET', '/v2/_catalog'), `${first},scope="registry:catalog:*"`)
  t.equal(
    await challenge('GET', '/v2/', asking(url, { authorization: 'Basic YTpi' })),
    first,
    'passwords are of no use',
  )
  t.equal(await challenge('GET', '/v2/', asking(url, { authorization: 'Bearer x' })), `${first},error="invalid_token"`)
})

t.test('a token is good for what it lists', async t => {
  const registry = shared
  const pushed = image()
  const pusher = await registry.with([accessTo('a/b', 'pull', 'push')])
  t.equal((await pusher.ask('GET', '/v2/')).status, 200)
  t.equal(await pusher.push('a/b', pushed), 201)
  t.equal(await pusher.push('a/c', pushed), 401)
  const puller = await registry.with([{ ...accessTo('a/b', 'pull'), class: 'image' }])
  t.equal((await puller.ask('GET', '/v2/a/b/manifests/latest')).status, 200)
  const more = await puller.ask('POST', '/v2/a/b/blobs/uploads/')
  t.equal(more.status, 401)
  t.match(more.headers['www-authenticate'], /scope="repository:a\/b:pull,push",error="insufficient_scope"$/)
  t.equal((await pusher.ask('DELETE', '/v2/a/b/manifests/latest')).status, 401)
  t.equal((await pusher.ask('GET', '/v2/_catalog')).status, 401)
  const catalog = await registry.with([{ type: 'registry', name: 'catalog', actions: ['*'] }])
  t.match(JSON.parse((await catalog.ask('GET', '/v2/_catalog')).body), { repositories: ['a/b'] })
  const all = await registry.with([accessTo('a/b', '*')])
  t.equal((await all.ask('DELETE', '/v2/a/b/manifests/latest')).status, 202)
  const none = await registry.with([])
  const forbidden = await none.ask('GET', `/v2/a/b/blobs/${pushed.config.digest}`)
  const missing = await none.ask('GET', `/v2/a/x/blobs/${pushed.config.digest}`)
  t.equal(forbidden.status, 401)
  t.equal(forbidden.body, missing.body)
})

t.test('tokens signed by a chain, and named by either kind of key id, are taken', async t => {
  const { bearing } = shared
  const access = [accessTo('a', 'pull')]
  const wishes = {
    libtrust: signToken(root, { header: { kid }, access }),
    chain: signToken(leaf, { header: { x5c: [leaf.der] }, access }),
    embedded: signToken(root, { header: { jwk: root.certificate.publicKey.export({ format: 'jwk' }) }, access }),
    audiences: signToken(root, { header: { kid }, access, claims: { aud: ['x', service] } }),
  }
  for (const [name, token] of Object.entries(wishes))
    t.equal((await bearing(await token).ask('GET', '/v2/a/manifests/latest')).status, 404, name)
})

t.test('a token that is not good is refused, whatever is wrong with it', async t => {
  const { bearing } = shared
  const access = [accessTo('a', 'pull')]
  const good = await signToken(root, { header: { kid }, access })
  const of = (claims: Record<string, unknown>) => signToken(root, { header: { kid }, access, claims })
  const [head = '', body = ''] = good.split('.')
  const table = {
    tampered: tamper(good, 'payload', { sub: 'root' }),
    none: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
    unsigned: `${head}.${body}.`,
    expired: await of({ exp: now() - 120 }),
    'expired long ago': await of({ exp: now() - 9e5 }),
    'not yet': await of({ nbf: now() + 120 }),
    'other audience': await of({ aud: 'other' }),
    'other issuer': await of({ iss: 'other' }),
  }
  for (const [why, token] of Object.entries(table)) {
    const { status, headers } = await bearing(token).ask('GET', '/v2/a/manifests/latest')
    t.equal(status, 401, why)
    t.match(headers['www-authenticate'], /,scope="repository:a:pull",error="invalid_token"$/, why)
    t.equal((await bearing(token).ask('GET', '/v2/')).status, 401, why)
  }
  t.equal((await bearing(good).ask('GET', '/v2/a/manifests/latest')).status, 404)
})

t.test('an upload goes on after the token has ended that it was begun with, and nothing else does', async t => {
  const registry = shared
  const access = [accessTo('uploads', 'pull', 'push')]
  const blob = randomBlob()
  const begun = await (await registry.with(access)).ask('POST', '/v2/uploads/blobs/uploads/')
  t.equal(begun.status, 202)
  const place = String(begun.headers.location)
  const ended = await registry.with(access, { exp: now() - 120 })
  const other = await registry.with(access, { sub: 'bob' })
  t.equal((await other.ask('PATCH', place, { body: blob })).status, 404, "it is nobody else's")
  t.equal((await ended.ask('POST', '/v2/uploads/blobs/uploads/')).status, 401)
  t.equal((await ended.ask('PATCH', place, { body: blob })).status, 202)
  t.equal((await ended.ask('PUT', `${place}?digest=${blob.digest}`)).status, 201)
  t.equal((await ended.ask('GET', `/v2/uploads/blobs/${blob.digest}`)).status, 401)
})

t.test('with autoredirect the realm is at the host by which the client calls the registry', async t => {
  const startWith = async (token: Record<string, unknown> = {}, locations: TestRegistryOptions['locations'] = {}) => {
    const { url } = await start(t, { autoredirect: true, ...token }, { locations })
    return async (headers: Record<string, string> = {}) => {
      const client = asking(url, { headers: { host: 'registry.test:5000', ...headers } })
      const { headers: answered } = await client.ask('GET', `${locations.prefix ?? '/'}v2/`)
      return /realm="([^"]*)"/.exec(String(answered['www-authenticate']))?.[1]
    }
  }
  const own = 'https://registry.test:5000/auth/token'
  const realmFor = await startWith()
  t.equal(await realmFor(), own, 'https unless a proxy says otherwise')
  t.equal(await realmFor({ 'x-forwarded-proto': 'http' }), own.replace('https', 'http'))
  t.equal(await realmFor({ 'x-forwarded-proto': 'https' }), own)
  t.equal(await realmFor({ 'x-forwarded-host': 'outside.test' }), 'https://outside.test/auth/token')
  t.equal(await realmFor({ forwarded: 'proto=http;host=outside.test' }), 'http://outside.test/auth/token')
  t.equal(await realmFor({ 'x-forwarded-host': 'evil"x' }), realm, 'what can not be a host is not repeated')
  const elsewhere = await startWith({ realm: undefined, autoredirectpath: '/token' }, { prefix: '/images/' })
  t.equal(await elsewhere(), 'https://registry.test:5000/token', 'beside the prefix')
  const fixed = await startWith({}, { host: 'https://fixed.test:8443' })
  t.equal(await fixed({ 'x-forwarded-host': 'outside.test' }), 'https://fixed.test:8443/auth/token')
})
