import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import t from 'tap'
import { image, randomBlob } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { type Asking, asking, basic } from './asking.ts'
import { until } from './connection.ts'

const rules = `
groups:
  developers: [alice]
rules:
  - {anonymous: true, repositories: public/**, actions: pull}
  - {authenticated: true, repositories: base/*, actions: pull}
  - {groups: developers, repositories: [team/**, public/**], actions: [pull, push]}
  - {users: root, repositories: '**', actions: '*'}
`

const users = ['alice', 'bob', 'root']
const passwords = users.map(name => `${name}:${hashSync(name, 4)}\n`).join('')
const pushed = image()
const repositories = ['base/os', 'public/app', 'secret', 'team/app']

const folder = t.testdir({ users: passwords, 'access.yml': rules })
const auth = { htpasswd: { path: join(folder, 'users') }, access: { path: join(folder, 'access.yml') } }
const { url } = await startRegistry(t, { auth })
const as = (name: string) => asking(url, { authorization: basic(name, name) })
const [nobody, alice, bob, root] = [asking(url), as('alice'), as('bob'), as('root')]
for (const repository of repositories)
  if ((await root.push(repository, pushed)) !== 201) throw new Error(`${repository} was not taken`)

t.test('each identity pulls what a rule allows, and nothing else', async t => {
  const table: Record<string, [Asking, string[], number]> = {
    nobody: [nobody, ['public/app'], 401],
    bob: [bob, ['base/os', 'public/app'], 403],
    alice: [alice, ['base/os', 'public/app', 'team/app'], 403],
    root: [root, repositories, 403],
  }
  for (const [name, [client, allowed, refusal]] of Object.entries(table)) {
    for (const repository of repositories) {
      const expected = allowed.includes(repository) ? 200 : refusal
      for (const path of ['manifests/latest', 'tags/list', `blobs/${pushed.config.digest}`])
        t.equal(
          (await client.ask('GET', `/v2/${repository}/${path}`)).status,
          expected,
          `${name} ${repository} ${path}`,
        )
    }
  }
})

t.test('the catalog shows what one may pull, page by page', async t => {
  const catalog = async (client: typeof nobody, query = '') => {
    const { status, body } = await client.ask('GET', `/v2/_catalog${query}`)
    return status === 200 ? (JSON.parse(body) as { repositories: string[] }).repositories : status
  }
  t.strictSame(await catalog(nobody), ['public/app'])
  t.strictSame(await catalog(bob), ['base/os', 'public/app'])
  t.strictSame(await catalog(alice), ['base/os', 'public/app', 'team/app'])
  t.strictSame(await catalog(root), repositories)
  t.strictSame(await catalog(alice, '?n=2'), ['base/os', 'public/app'])
  t.strictSame(await catalog(alice, '?n=2&last=public/app'), ['team/app'])
})

t.test('each identity pushes and deletes what a rule allows, and nothing else', async t => {
  const next = image()
  t.equal(await nobody.push('public/app', next), 401)
  t.equal(await bob.push('public/app', next), 403)
  t.equal(await bob.push('team/app', next), 403)
  t.equal(await alice.push('team/new/one', next), 201, 'what is pushed comes into being')
  t.equal(await alice.push('team', next), 403)
  t.equal(await alice.push('base/os', next), 403)
  t.equal(await alice.push('team/gone', next), 201)
  t.equal((await alice.ask('DELETE', '/v2/team/gone/manifests/latest')).status, 403)
  t.equal((await nobody.ask('DELETE', '/v2/public/app/manifests/latest')).status, 401)
  t.equal((await root.ask('DELETE', '/v2/team/gone/manifests/latest')).status, 202)
})

t.test('what is forbidden looks like what is not there', async t => {
  const digest = pushed.config.digest
  for (const client of [nobody, bob])
    for (const [method, path] of [
      ['GET', 'manifests/latest'],
      ['HEAD', 'manifests/latest'],
      ['GET', `blobs/${digest}`],
      ['GET', 'tags/list'],
      ['GET', `referrers/${digest}`],
      ['POST', 'blobs/uploads/'],
      ['DELETE', 'manifests/latest'],
    ] as const) {
      const there = await client.ask(method, `/v2/secret/${path}`)
      const missing = await client.ask(method, `/v2/absent/${path}`)
      t.strictSame(there.seen, missing.seen, `${method} ${path}`)
      t.ok([401, 403].includes(there.status))
      t.notMatch(there.body, /secret/)
    }
})

t.test('a mount from where one may not pull is an upload, and says nothing of what is there', async t => {
  const hidden = randomBlob()
  const put = await root.ask('POST', `/v2/secret/blobs/uploads/?digest=${hidden.digest}`, { body: hidden })
  t.equal(put.status, 201)
  const mount = (client: typeof alice, digest: string, from: string) =>
    client.ask('POST', `/v2/team/app/blobs/uploads/?mount=${digest}${from}`)
  t.equal((await mount(alice, hidden.digest, '&from=secret')).status, 202)
  t.equal((await mount(alice, hidden.digest, '')).status, 202, 'nor from wherever it may be')
  t.equal((await mount(alice, randomBlob().digest, '&from=secret')).status, 202)
  t.equal((await alice.ask('GET', `/v2/team/app/blobs/${hidden.digest}`)).status, 404)
  t.equal((await mount(alice, pushed.config.digest, '&from=base/os')).status, 201)
  t.equal((await mount(root, hidden.digest, '&from=secret')).status, 201)
})

t.test('/v2/ asks for a name where anonymous pulls are allowed too, so that a login tells the truth', async t => {
  t.equal((await nobody.ask('GET', '/v2/')).status, 401)
  t.equal((await bob.ask('GET', '/v2/')).status, 200)
  const wrong = asking(url, { authorization: basic('bob', 'wrong') })
  t.equal((await wrong.ask('GET', '/v2/')).status, 401)
  t.equal((await wrong.ask('GET', '/v2/public/app/manifests/latest')).status, 401, 'wrong is wrong, needed or not')
  const podman = asking(url, { authorization: basic('', '') })
  t.equal((await podman.ask('GET', '/v2/public/app/manifests/latest')).status, 200)
  t.equal((await podman.ask('GET', '/v2/')).status, 401)
})

t.test('changed rules count without a restart', async t => {
  const path = '/v2/secret/manifests/latest'
  t.equal((await bob.ask('GET', path)).status, 403)
  await writeFile(auth.access.path, 'rules:\n  - {users: bob, repositories: secret, actions: pull}\n')
  await until(async () => (await bob.ask('GET', path)).status === 200)
  t.equal((await bob.ask('GET', '/v2/base/os/manifests/latest')).status, 403)
  await writeFile(auth.access.path, 'rules: [\n')
  t.equal((await bob.ask('GET', path)).status, 200)
})
