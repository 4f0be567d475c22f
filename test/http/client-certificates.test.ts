import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import t, { type Test } from 'tap'
import type { TlsFiles } from '../../server/http/tls.ts'
import { image } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { asking, basic } from './asking.ts'
import { createAuthority, credentials, tlsFiles } from './certificates.ts'

const folder = t.testdir({
  users: `alice:${hashSync('secret', 4)}\n`,
  'access.yml': `
groups:
  builders: []
rules:
  - {anonymous: true, repositories: public/*, actions: pull}
  - {authenticated: true, repositories: base/*, actions: pull}
  - {groups: builders, repositories: '**', actions: [pull, push]}
  - {users: [viewer, alice], repositories: team/*, actions: pull}
`,
})
const authority = await createAuthority(join(folder, 'ours'), 'Ours')
const foreign = await createAuthority(join(folder, 'foreign'), 'Foreign')
const server = await authority.sign('server')
const ca = await readFile(authority.certificate)
const certificates = {
  builder: await credentials(await authority.sign('builder', ['builders', 'others'])),
  viewer: await credentials(await authority.sign('viewer')),
  stranger: await credentials(await foreign.sign('builder', ['builders'])),
}
const pushed = image()

const access = { path: join(folder, 'access.yml') }
const htpasswd = { path: join(folder, 'users') }

async function start(t: Test, auth: Record<string, unknown> | undefined, clientauth: TlsFiles['clientauth']) {
  const tls = tlsFiles(server, { clientcas: [authority.certificate], clientauth })
  const { url } = await startRegistry(t, { tls, ...(auth === undefined ? {} : { auth }) })
  /** The status of a GET over HTTP/2. */
  const statusByHttp2 = async (path: string, who?: keyof typeof certificates) => {
    const session = connect(url, { ca, ...(who === undefined ? {} : certificates[who]) })
    const stream = session.request({ ':path': path }).resume()
    const [headers] = await once(stream, 'response')
    await once(stream, 'end')
    session.close()
    return Number(Reflect.get(Object(headers), ':status'))
  }
  const by = (who?: keyof typeof certificates, authorization?: string) =>
    asking(url, { tls: { ca, ...(who === undefined ? {} : certificates[who]) }, authorization })
  return { by, statusByHttp2 }
}

for (const [how, auth] of Object.entries({ alone: { access }, 'beside passwords': { access, htpasswd } })) {
  const refusal = how === 'alone' ? 403 : 401

  t.test(`with rules ${how} the holder of a certificate has its name and its units as groups`, async t => {
    const { by } = await start(t, auth, 'verify-client-cert-if-given')
    const builder = by('builder')
    for (const repository of ['public/a', 'base/a', 'team/a', 'secret'])
      t.equal(await builder.push(repository, pushed), 201, repository)
    t.equal((await builder.ask('DELETE', '/v2/secret/manifests/latest')).status, 403)
    t.equal((await builder.ask('GET', '/v2/')).status, 200)
    const viewer = by('viewer')
    for (const repository of ['public/a', 'base/a', 'team/a'])
      t.equal((await viewer.ask('GET', `/v2/${repository}/manifests/latest`)).status, 200, repository)
    const hidden = await viewer.ask('GET', '/v2/secret/manifests/latest')
    t.equal(hidden.status, 403)
    t.strictSame(hidden.seen, (await viewer.ask('GET', '/v2/absent/manifests/latest')).seen)
    t.match(JSON.parse((await viewer.ask('GET', '/v2/_catalog')).body), {
      repositories: ['base/a', 'public/a', 'team/a'],
    })
    t.equal(await viewer.push('team/a', pushed), 403)
  })

  t.test(`with rules ${how} who has no certificate has no name`, async t => {
    const { by } = await start(t, auth, 'verify-client-cert-if-given')
    t.equal(await by('builder').push('public/a', pushed), 201)
    const nobody = by()
    t.equal((await nobody.ask('GET', '/v2/public/a/manifests/latest')).status, 200)
    t.equal((await nobody.ask('GET', '/v2/base/a/manifests/latest')).status, refusal)
    t.equal((await nobody.ask('GET', '/v2/')).status, refusal)
    t.equal(await nobody.push('public/a', pushed), refusal)
  })

  t.test(`with rules ${how} a certificate that no known authority has signed is none`, async t => {
    const { by } = await start(t, auth, 'request-client-cert')
    t.equal(await by('builder').push('public/a', pushed), 201)
    const stranger = by('stranger')
    t.equal((await stranger.ask('GET', '/v2/public/a/manifests/latest')).status, 200)
    t.equal((await stranger.ask('GET', '/v2/base/a/manifests/latest')).status, refusal)
    t.equal(await stranger.push('public/a', pushed), refusal)
  })
}

t.test('over HTTP/2 a certificate says the same', async t => {
  const { by, statusByHttp2 } = await start(t, { access }, 'verify-client-cert-if-given')
  t.equal(await by('builder').push('team/a', pushed), 201)
  t.equal(await statusByHttp2('/v2/team/a/manifests/latest', 'builder'), 200)
  t.equal(await statusByHttp2('/v2/team/a/manifests/latest', 'viewer'), 200)
  t.equal(await statusByHttp2('/v2/team/a/manifests/latest'), 403)
  t.equal(await statusByHttp2('/v2/secret/manifests/latest', 'viewer'), 403)
  t.equal(await statusByHttp2('/v2/secret/manifests/latest', 'builder'), 404)
})

t.test('a password says more than a certificate, and a wrong one is refused whatever the certificate', async t => {
  const { by } = await start(t, { access, htpasswd }, 'verify-client-cert-if-given')
  t.equal(await by('builder').push('team/a', pushed), 201)
  const alice = by('builder', basic('alice', 'secret'))
  t.equal((await alice.ask('GET', '/v2/team/a/manifests/latest')).status, 200)
  t.equal(await alice.push('team/a', pushed), 403, 'she is no builder')
  t.equal((await by('builder', basic('alice', 'wrong')).ask('GET', '/v2/team/a/manifests/latest')).status, 401)
})

t.test('where certificates are the only names, a password is told to be of no use', async t => {
  const { by } = await start(t, { access }, 'require-and-verify-client-cert')
  const { status, body, headers } = await by('viewer', basic('alice', 'secret')).ask('GET', '/v2/')
  t.equal(status, 403)
  t.equal(headers['www-authenticate'], undefined)
  t.match(JSON.parse(body), { errors: [{ code: 'DENIED', message: /by client certificates alone/ }] })
})

t.test('without rules a certificate opens what is open, and is no password', async t => {
  const open = await start(t, undefined, 'require-and-verify-client-cert')
  t.equal(await open.by('viewer').push('a', pushed), 201)
  await t.rejects(open.by().ask('GET', '/v2/'))
  const closed = await start(t, { htpasswd }, 'require-and-verify-client-cert')
  t.equal((await closed.by('viewer').ask('GET', '/v2/')).status, 401)
  t.equal((await closed.by('viewer', basic('alice', 'secret')).ask('GET', '/v2/')).status, 200)
})
