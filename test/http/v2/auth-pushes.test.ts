import { SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { ask } from '../../../conformance/http.ts'
import { createSigningKeys } from '../../../server/access/signing-keys.ts'
import { basic, bearer, grantsOf, outcome, pushImage, tokenOf } from '../../helpers/access.ts'
import {
  type AccountsRegistry,
  makeUser,
  password,
  startWithAccounts,
  type AccountsOptions,
} from '../../helpers/accounts.ts'
import { image, randomBlob } from '../../helpers/images.ts'

const secretkey = 'a key that is long enough'

async function start(t: Test, accounts: AccountsOptions['accounts'] = {}): Promise<AccountsRegistry> {
  const registry = await startWithAccounts(t, { accounts: { secretkey, ...accounts } })
  for (const name of ['alice', 'bob']) await makeUser(registry, name)
  return registry
}

/** A token of the registry's own that ended so many seconds ago. */
async function endedToken(
  { database }: AccountsRegistry,
  name: string,
  repository: string,
  seconds = 60,
): Promise<string> {
  const keys = createSigningKeys({ database, algorithm: 'ES256', secretKey: secretkey, tokenMs: 1000 })
  const { id, key } = await keys.current()
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ access: [{ type: 'repository', name: repository, actions: ['pull', 'push'] }], account: 2 })
    .setProtectedHeader({ alg: 'ES256', kid: id })
    .setIssuer('berth')
    .setAudience('berth')
    .setSubject(name)
    .setIssuedAt(now - seconds - 300)
    .setExpirationTime(now - seconds)
    .sign(key)
}

const put = (headers: Record<string, string>, body?: Buffer) => ({
  method: 'PUT',
  headers: { 'content-length': String(body?.length ?? 0), ...headers },
  ...(body === undefined ? {} : { body }),
})

t.test('an upload goes on with a token that ended in its middle, and nothing else does', async t => {
  const registry = await start(t)
  const { url } = registry
  await pushImage(url, basic('alice', password), 'alice/app')
  const { token } = await tokenOf(url, basic('alice', password), { scope: 'repository:alice/app:pull,push' })
  const begun = await ask(`${url}/v2/alice/app/blobs/uploads/`, { method: 'POST', headers: bearer(token) })
  t.equal(begun.status, 202)
  const location = String(begun.headers.location)
  const { bytes, digest } = randomBlob(1000)
  const ended = bearer(await endedToken(registry, 'alice', 'alice/app', 90))

  const others = {
    'the ended token of someone else': bearer(await endedToken(registry, 'bob', 'alice/app', 90)),
    'an ended token for another repository': bearer(await endedToken(registry, 'alice', 'alice/other', 90)),
    'one that ended more than a day ago': bearer(await endedToken(registry, 'alice', 'alice/app', 25 * 3600)),
    nothing: {},
    'another user': basic('bob', password),
    'a superuser': basic('admin', 'adminpass123'),
  }
  for (const [what, headers] of Object.entries(others)) {
    for (const method of ['GET', 'PATCH', 'PUT']) {
      const path = method === 'PUT' ? `${location}?digest=${digest}` : location
      const answer = await ask(path, { method, headers, ...(method === 'GET' ? {} : { body: bytes }) })
      t.match(outcome(answer), /^(401 UNAUTHORIZED|403 DENIED|404 BLOB_UPLOAD_UNKNOWN)$/, `${method} by ${what}`)
    }
  }

  t.equal((await ask(location, { headers: ended })).status, 204)
  const sent = await ask(location, { method: 'PATCH', headers: ended, body: bytes.subarray(0, 400) })
  t.equal(sent.status, 202)
  const closed = await ask(`${location}?digest=${digest}`, put(ended, bytes.subarray(400)))
  t.equal(closed.status, 201)

  const { manifest } = image()
  const refused: [string, string, Record<string, string>][] = [
    ['PUT', '/v2/alice/app/manifests/1', { ...ended, 'content-type': manifest.mediaType }],
    ['POST', '/v2/alice/app/blobs/uploads/', ended],
    ['POST', `/v2/alice/app/blobs/uploads/?digest=${digest}`, ended],
    ['GET', '/v2/alice/app/manifests/1', ended],
    ['HEAD', `/v2/alice/app/blobs/${digest}`, ended],
    ['DELETE', '/v2/alice/app/manifests/1', ended],
    ['GET', '/v2/', ended],
    ['GET', '/v2/_catalog', ended],
  ]
  for (const [method, path, headers] of refused) {
    const answer = await ask(url + path, { method, headers })
    t.equal(answer.status, 401, `${method} ${path}`)
    t.match(answer.headers['www-authenticate'], /error="invalid_token"/)
  }
  const { token: fresh } = await tokenOf(url, basic('alice', password), { scope: 'repository:alice/app:pull' })
  t.equal((await ask(`${url}/v2/alice/app/blobs/${digest}`, { headers: bearer(fresh) })).status, 200)
})

t.test('an upload that was begun with a password goes on with a token, and the other way round', async t => {
  const { url } = await start(t)
  const alice = basic('alice', password)
  await pushImage(url, alice, 'alice/app')
  const token = bearer((await tokenOf(url, alice, { scope: 'repository:alice/app:pull,push' })).token)
  for (const [one, other] of [
    [alice, token],
    [token, alice],
  ] as const) {
    const { bytes, digest } = randomBlob(10)
    const begun = await ask(`${url}/v2/alice/app/blobs/uploads/`, { method: 'POST', headers: one })
    t.equal((await ask(`${String(begun.headers.location)}?digest=${digest}`, put(other, bytes))).status, 201)
  }
})

/** What is in the rows of a repository. */
async function visibilityOf({ database }: AccountsRegistry, name: string): Promise<string | undefined> {
  const row = await database.row<{ visibility: string }>(
    { name: 'test.seen', text: 'select visibility from repositories where name = $1 and deleted_at is null' },
    [name],
  )
  return row?.visibility
}

t.test('a push makes a private repository in the own namespace, a token alone makes none', async t => {
  const registry = await start(t)
  const { url } = registry
  const alice = basic('alice', password)
  const { token } = await tokenOf(url, alice, { scope: 'repository:alice/new:pull,push' })
  t.same(grantsOf(token), { 'alice/new': ['pull', 'push'] })
  t.equal(await visibilityOf(registry, 'alice/new'), undefined)
  await pushImage(url, bearer(token), 'alice/new')
  t.equal(await visibilityOf(registry, 'alice/new'), 'private')
  t.equal(outcome(await ask(`${url}/v2/alice/new/manifests/1`, { headers: basic('bob', password) })), '403 DENIED')

  for (const name of ['bob/new', 'nobody/new', 'new']) {
    t.same(grantsOf((await tokenOf(url, alice, { scope: `repository:${name}:pull,push` })).token), {}, name)
    await t.rejects(pushImage(url, alice, name), /403/, name)
    t.equal(await visibilityOf(registry, name), undefined, name)
  }
})

t.test('with createprivaterepositoryonpush off it is public', async t => {
  const registry = await start(t, { createprivaterepositoryonpush: false })
  await pushImage(registry.url, basic('alice', password), 'alice/new')
  t.equal(await visibilityOf(registry, 'alice/new'), 'public')
  t.equal((await ask(`${registry.url}/v2/alice/new/manifests/1`)).status, 200)
})

t.test('with createrepositoryonpush off it makes nothing', async t => {
  const registry = await start(t, { createrepositoryonpush: false })
  await t.rejects(pushImage(registry.url, basic('alice', password), 'alice/new'), /403/)
  t.same(
    grantsOf(
      (await tokenOf(registry.url, basic('alice', password), { scope: 'repository:alice/new:pull,push' })).token,
    ),
    {},
  )
})

t.test('with createnamespaceonpush it makes the organization of whoever pushes', async t => {
  const registry = await start(t, { createnamespaceonpush: true })
  const { url } = registry
  await pushImage(url, basic('alice', password), 'team/app')
  t.equal(await visibilityOf(registry, 'team/app'), 'private')
  await pushImage(url, basic('alice', password), 'team/other')
  await t.rejects(pushImage(url, basic('bob', password), 'team/third'), /403/)
  t.equal(outcome(await ask(`${url}/v2/team/app/manifests/1`, { headers: basic('bob', password) })), '403 DENIED')
  await t.rejects(pushImage(url, basic('alice', password), 'bob/app'), /403/, 'but never in what is another one’s')

  // Names that are paths of the registry, and that of images without a namespace, are no one's.
  for (const name of ['nginx', 'library/nginx', 'api/app', 'v2/app']) {
    await t.rejects(pushImage(url, basic('alice', password), name), /403/, name)
    t.equal(await visibilityOf(registry, name), undefined)
  }
})
