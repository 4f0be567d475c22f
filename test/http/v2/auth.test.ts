import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import { basic, bearer, grantsOf, makePublic, outcome, pushImage, tokenOf } from '../../helpers/access.ts'
import { field, makeUser, password, signIn, startWithAccounts, tokenFor } from '../../helpers/accounts.ts'

const registry = await startWithAccounts(t, { accounts: { readonlysuperusers: ['auditor'] } })
const { url } = registry
for (const name of ['alice', 'bob', 'auditor']) await makeUser(registry, name)
const alice = basic('alice', password)
await pushImage(url, alice, 'alice/private')
await pushImage(url, alice, 'alice/public')
await makePublic(registry, 'alice/public')
await pushImage(url, basic('bob', password), 'bob/private')
const session = await signIn(url, { username: 'alice', password })

const authUrl = `${url}/v2/auth`
const pull = (name: string) => `repository:${name}:pull`

/** By POST, as a form (distribution's OAuth 2.0 form). */
function post(fields: Record<string, string>) {
  return ask(authUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
}

t.test('a token comes by GET with Basic, in all the fields that clients read', async t => {
  const before = Date.now()
  const given = await tokenOf(url, alice, { scope: 'repository:alice/private:pull,push', account: 'alice' })
  t.equal(given.access_token, given.token)
  t.match(given, { token_type: 'Bearer', expires_in: 300, scope: 'repository:alice/private:pull,push' })
  t.ok(Math.abs(Date.parse(given.issued_at) - before) < 60_000)
  t.notOk('refresh_token' in given, 'none was asked for')
  t.same(grantsOf(given.token), { 'alice/private': ['pull', 'push'] })
  const manifest = `${url}/v2/alice/private/manifests/1`
  t.equal((await ask(manifest, { headers: bearer(given.token) })).status, 200)
  const answer = await ask(`${authUrl}?service=berth`, { headers: alice })
  t.equal(answer.headers['cache-control'], 'no-store')
})

t.test('and by POST, as a form', async t => {
  const { status, body } = await post({
    grant_type: 'password',
    service: 'berth',
    client_id: 'docker',
    scope: 'repository:alice/private:pull registry:catalog:*',
    username: 'alice',
    password,
  })
  t.equal(status, 200)
  const given = JSON.parse(body.toString())
  t.match(given, { token_type: 'Bearer', expires_in: 300, scope: 'repository:alice/private:pull' })
  t.equal((await ask(`${url}/v2/alice/private/tags/list`, { headers: bearer(given.access_token) })).status, 200)

  t.equal(outcome(await post({ grant_type: 'client_credentials', service: 'berth' })), '400 UNSUPPORTED')
  t.equal(outcome(await post({ service: 'berth' })), '400 UNSUPPORTED')
  t.equal(outcome(await post({ grant_type: 'password', service: 'berth' })), '401 UNAUTHORIZED')
  t.equal(outcome(await post({ grant_type: 'password', username: 'alice\0', password })), '401 UNAUTHORIZED')
  t.equal(
    outcome(await post({ grant_type: 'password', username: 'alice', password: 'wrongpass1' })),
    '401 UNAUTHORIZED',
  )
  t.equal(outcome(await post({ grant_type: 'password', scope: 'x'.repeat(70_000) })), '400 UNSUPPORTED')
})

t.test('several scopes may stand in one parameter or in many, and each is narrowed to what one may', async t => {
  const scopes = ['repository:alice/private:pull,push,delete', pull('bob/private'), 'repository:alice/public:*']
  for (const scope of [scopes, [scopes.join(' ')]]) {
    t.same(grantsOf((await tokenOf(url, alice, { scope })).token), {
      'alice/private': ['pull', 'push', 'delete'],
      'alice/public': ['*'],
    })
  }
  const bob = basic('bob', password)
  t.same(grantsOf((await tokenOf(url, bob, { scope: scopes })).token), {
    'bob/private': ['pull'],
    'alice/public': ['pull'],
  })
  const twice = ['repository:alice/private:pull', 'repository:alice/private:push,pull']
  t.same(grantsOf((await tokenOf(url, alice, { scope: twice })).token), { 'alice/private': ['pull', 'push'] })
  t.same(grantsOf((await tokenOf(url, alice, { scope: 'artifact:alice/private:pull' })).token), {})
  t.same(grantsOf((await tokenOf(url, alice)).token), {}, 'a token without scopes is for the login')
})

t.test('what is no scope, and a token for another service, are refused', async t => {
  for (const query of ['scope=nonsense', 'scope=repository:alice/private', 'scope=:', 'service=other'])
    t.equal(outcome(await ask(`${authUrl}?${query}`, { headers: alice })), '400 UNSUPPORTED', query)
})

t.test('without credentials there is a token for what is public, and one for nothing else', async t => {
  const given = await tokenOf(url, {}, { scope: [pull('alice/public'), pull('alice/private'), pull('alice/missing')] })
  t.same(grantsOf(given.token), { 'alice/public': ['pull'] })
  t.same(grantsOf((await tokenOf(url, {}, { scope: 'repository:alice/public:pull,push' })).token), {
    'alice/public': ['pull'],
  })
  const headers = bearer(given.token)
  t.equal((await ask(`${url}/v2/alice/public/manifests/1`, { headers })).status, 200)
  for (const name of ['alice/private', 'alice/missing'])
    t.equal(outcome(await ask(`${url}/v2/${name}/manifests/1`, { headers })), '401 UNAUTHORIZED', name)

  const nothing = await ask(`${authUrl}?service=berth`)
  t.equal(outcome(nothing), '401 UNAUTHORIZED', 'who asks for nothing wants to log in')
  t.equal(nothing.headers['www-authenticate'], 'Basic realm="berth"')
  t.equal(outcome(await ask(authUrl, { headers: { authorization: 'Bearer x' } })), '401 UNAUTHORIZED')
})

t.test('Basic works on the API itself, and a token that was restricted does no more than it may', async t => {
  t.equal((await ask(`${url}/v2/`, { headers: alice })).status, 200)
  t.equal((await ask(`${url}/v2/alice/private/manifests/1`, { headers: alice })).status, 200)
  const reads = basic('$oauthtoken', await tokenFor(registry, 'alice', ['repo:read']))
  t.equal((await ask(`${url}/v2/alice/private/manifests/1`, { headers: reads })).status, 200)
  await t.rejects(pushImage(url, reads, 'alice/private'), /403/)
  await t.rejects(pushImage(url, reads, 'alice/new'), /403/)
  const { token } = await tokenOf(url, reads, { scope: 'repository:alice/private:pull,push' })
  t.same(grantsOf(token), { 'alice/private': ['pull'] })
  await t.rejects(pushImage(url, bearer(token), 'alice/private'), /401/)

  const writes = basic('$oauthtoken', await tokenFor(registry, 'alice', ['repo:write']))
  await pushImage(url, writes, 'alice/private')
  await t.rejects(pushImage(url, writes, 'alice/new'), /403/, 'to create is another scope')
  await pushImage(
    url,
    basic('$oauthtoken', await tokenFor(registry, 'alice', ['repo:write', 'repo:create'])),
    'alice/by-token',
  )

  const nothing = basic('$oauthtoken', await tokenFor(registry, 'alice', ['user:admin']))
  t.equal((await ask(`${url}/v2/`, { headers: nothing })).status, 200, 'it is good for the login')
  t.equal(outcome(await ask(`${url}/v2/alice/public/manifests/1`, { headers: nothing })), '403 DENIED')
  t.equal(outcome(await ask(`${url}/v2/_catalog`, { headers: nothing })), '403 DENIED')
  const shows = bearer((await tokenOf(url, nothing, { scope: 'registry:catalog:*' })).token)
  t.same(JSON.parse((await ask(`${url}/v2/_catalog`, { headers: shows })).body.toString()), {
    repositories: ['alice/public'],
  })

  const over = await tokenFor(registry, 'alice', ['repo:read'], { expiresAt: new Date(Date.now() - 1000) })
  t.equal(outcome(await ask(`${url}/v2/`, { headers: basic('$oauthtoken', over) })), '401 UNAUTHORIZED')
})

t.test('an application-specific token is worth the whole user, until it is taken away', async t => {
  const made = await session.post('/user/apptoken', { title: 'laptop' })
  t.equal(made.status, 200)
  const headers = basic('$app', String(field(made.body, 'token', 'token_code')))
  await pushImage(url, headers, 'alice/by-app')
  const given = await tokenOf(url, headers, { scope: 'repository:alice/by-app:pull,push', offline_token: 'true' })
  t.same(grantsOf(given.token), { 'alice/by-app': ['pull', 'push'] })
  t.notOk('refresh_token' in given, 'nothing that would outlive it')
  await session.delete(`/user/apptoken/${String(field(made.body, 'token', 'uuid'))}`)
  t.equal(outcome(await ask(`${url}/v2/`, { headers })), '401 UNAUTHORIZED')
})

t.test('an encrypted password is as good as the password', async t => {
  const { status, body } = await session.post('/user/clientkey', { password })
  t.equal(status, 200)
  const headers = basic('alice', String(field(body, 'key')))
  t.equal((await ask(`${url}/v2/alice/private/manifests/1`, { headers })).status, 200)
  t.same(grantsOf((await tokenOf(url, headers, { scope: pull('alice/private') })).token), { 'alice/private': ['pull'] })
  const changed = String(field(body, 'key')).replace(/.{8}/, 'AAAAAAAA')
  t.equal(outcome(await ask(`${url}/v2/`, { headers: basic('alice', changed) })), '401 UNAUTHORIZED')
})

t.test('a robot does what it was allowed, and nothing when its user is disabled', async t => {
  await makeUser(registry, 'carol')
  const carol = await signIn(url, { username: 'carol', password })
  await pushImage(url, basic('carol', password), 'carol/app')
  const made = await carol.put('/user/robots/ci', { description: 'builds' })
  t.equal(made.status, 201)
  const robot = basic('carol+ci', String(field(made.body, 'token')))
  t.equal((await ask(`${url}/v2/`, { headers: robot })).status, 200)
  t.equal(outcome(await ask(`${url}/v2/carol/app/manifests/1`, { headers: robot })), '403 DENIED')
  await registry.database.change({
    name: 'test.permit',
    text: `insert into repository_permissions (repository_id, account_id, role)
           select r.id, a.id, 'read' from repositories r, accounts a where r.name = 'carol/app' and a.name = 'carol+ci'`,
  })
  t.equal((await ask(`${url}/v2/carol/app/manifests/1`, { headers: robot })).status, 200)
  await t.rejects(pushImage(url, robot, 'carol/app'), /403/)
  t.same(grantsOf((await tokenOf(url, robot, { scope: 'repository:carol/app:pull,push' })).token), {
    'carol/app': ['pull'],
  })
  const kept = await tokenOf(url, robot, { offline_token: 'true' })
  t.notOk('refresh_token' in kept)

  await registry.database.change({ name: 'test.off', text: `update accounts set enabled = false where name = 'carol'` })
  t.equal(outcome(await ask(`${url}/v2/`, { headers: robot })), '401 UNAUTHORIZED')
  t.equal(outcome(await ask(`${url}/v2/`, { headers: basic('carol', password) })), '401 UNAUTHORIZED')
})

t.test('a refresh token stands for the password, until that is another one or the account is disabled', async t => {
  await makeUser(registry, 'dave')
  const dave = basic('dave', password)
  await pushImage(url, dave, 'dave/app')
  const refresh = (token: string) =>
    post({
      grant_type: 'refresh_token',
      service: 'berth',
      refresh_token: token,
      scope: pull('dave/app'),
      client_id: 'docker',
    })

  const given = await tokenOf(url, dave, { offline_token: 'true', client_id: 'docker', account: 'dave' })
  t.match(given.refresh_token, /^[A-Z0-9]{64}$/)
  const byForm = await post({
    grant_type: 'password',
    access_type: 'offline',
    username: 'dave',
    password,
    client_id: 'x',
  })
  for (const token of [String(given.refresh_token), String(JSON.parse(byForm.body.toString()).refresh_token)]) {
    const refreshed = await refresh(token)
    t.equal(refreshed.status, 200)
    const body = JSON.parse(refreshed.body.toString())
    t.equal(body.refresh_token, token)
    t.equal((await ask(`${url}/v2/dave/app/manifests/1`, { headers: bearer(body.access_token) })).status, 200)
  }
  t.equal(outcome(await ask(`${url}/v2/`, { headers: bearer(String(given.refresh_token)) })), '401 UNAUTHORIZED')
  for (const wrong of ['', 'X'.repeat(64), 'a\0b']) t.equal(outcome(await refresh(wrong)), '401 UNAUTHORIZED')

  await registry.database.change({
    name: 'test.soon',
    text: `update refresh_tokens set expires_at = now() + interval '1 day'`,
  })
  t.equal((await refresh(String(given.refresh_token))).status, 200)
  t.match(
    await registry.database.row({
      name: 'test.ends',
      text: `select max(expires_at) > now() + interval '80 days' as later, min(expires_at) < now() + interval '2 days' as soon
               from refresh_tokens`,
    }),
    { later: true, soon: true },
    'one that is used is good for longer',
  )

  const browser = await signIn(url, { username: 'dave', password })
  t.equal((await browser.put('/user', { password: 'another-pass-1' })).status, 200)
  t.equal(outcome(await refresh(String(given.refresh_token))), '401 UNAUTHORIZED')

  const renewed = await tokenOf(url, basic('dave', 'another-pass-1'), { offline_token: 'true' })
  t.equal((await refresh(String(renewed.refresh_token))).status, 200)
  await registry.database.change({
    name: 'test.off_dave',
    text: `update accounts set enabled = false where name = 'dave'`,
  })
  t.equal(outcome(await refresh(String(renewed.refresh_token))), '401 UNAUTHORIZED')
  await registry.database.change({
    name: 'test.on_dave',
    text: `update accounts set enabled = true where name = 'dave'`,
  })
  await registry.database.change({
    name: 'test.end',
    text: `update refresh_tokens set expires_at = now() where account_id = (select id from accounts where name = 'dave')`,
  })
  t.equal(outcome(await refresh(String(renewed.refresh_token))), '401 UNAUTHORIZED', 'nor after its time')
})

t.test('the catalog shows what one may pull', async t => {
  const listed = async (headers: Record<string, string>) =>
    JSON.parse((await ask(`${url}/v2/_catalog?n=1000`, { headers })).body.toString()).repositories
  const own = ['alice/by-app', 'alice/by-token', 'alice/private', 'alice/public']
  t.same(await listed({}), ['alice/public'])
  t.same(await listed(alice), own)
  t.same(await listed(bearer((await tokenOf(url, alice)).token)), own)
  t.same(await listed(basic('bob', password)), ['alice/public', 'bob/private'])
  t.same(await listed(bearer((await tokenOf(url, basic('bob', password), { scope: 'registry:catalog:*' })).token)), [
    'alice/public',
    'bob/private',
  ])
  const everything = [...own, 'bob/private', 'carol/app', 'dave/app']
  t.same(await listed(basic('auditor', password)), everything)
  t.same(
    await listed(bearer((await tokenOf(url, basic('auditor', password), { scope: 'registry:catalog:*' })).token)),
    everything,
  )
})
