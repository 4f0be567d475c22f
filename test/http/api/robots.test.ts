import t from 'tap'
import {
  createClient,
  field,
  makeSession,
  password,
  startWithAccounts,
  tokenFor,
  withToken,
} from '../../helpers/accounts.ts'
import { basic, logInto, pullAs, pushAs } from '../../helpers/docker.ts'

const token = /^[A-Z0-9]{64}$/

t.test('a robot is made, shown, given another token, and deleted', async t => {
  const registry = await startWithAccounts(t)
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  for (const [robots, name] of [
    ['/user/robots', 'owner+build.bot'],
    ['/organization/acme/robots', 'acme+build.bot'],
  ] as const) {
    t.strictSame((await owner.get(robots)).body, { robots: [] })
    const made = await owner.put(`${robots}/build.bot`, {
      description: 'builds',
      unstructured_metadata: { team: { of: ['a', 1, null] } },
    })
    t.equal(made.status, 201)
    t.match(made.body, { token })
    const first = String(field(made.body, 'token'))
    t.strictSame(made.body, {
      name,
      created: field(made.body, 'created'),
      last_accessed: null,
      description: 'builds',
      token: first,
      unstructured_metadata: { team: { of: ['a', 1, null] } },
    })
    t.match(field(made.body, 'created'), /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} -0000$/)
    t.match(await owner.put(`${robots}/build.bot`), {
      status: 400,
      body: { error_message: `Existing robot with name: ${name}` },
    })
    t.strictSame((await owner.get(`${robots}/build.bot`)).body, made.body)

    t.equal(await logInto(url, [name, first]), 200)
    t.equal(await logInto(url, [name, first.slice(1)]), 401)
    t.equal(await logInto(url, ['build.bot', first]), 401)
    const seen = (await owner.get(`${robots}/build.bot`)).body
    t.match(field(seen, 'last_accessed'), / -0000$/)

    const regenerated = await owner.post(`${robots}/build.bot/regenerate`)
    t.equal(regenerated.status, 200)
    const second = String(field(regenerated.body, 'token'))
    t.match(second, token)
    t.not(second, first)
    t.equal(await logInto(url, [name, first]), 401, 'the old token is of no use')
    t.equal(await logInto(url, [name, second]), 200)

    t.equal((await owner.delete(`${robots}/build.bot`)).status, 204)
    t.equal(await logInto(url, [name, second]), 401)
    const message = `Could not find robot with username: ${name}`
    for (const gone of [
      owner.delete(`${robots}/build.bot`),
      owner.get(`${robots}/build.bot`),
      owner.get(`${robots}/build.bot/permissions`),
      owner.post(`${robots}/build.bot/regenerate`),
    ])
      t.match(await gone, { status: 400, body: { error_message: message } })
    t.match((await owner.put(`${robots}/build.bot`)).body, { description: '', unstructured_metadata: {} })
  }
})

t.test('what a robot can not be', async t => {
  const registry = await startWithAccounts(t)
  const owner = await makeSession(registry, 'owner')
  for (const name of ['A', 'a', 'Bot', 'bot+bot', 'bot_', 'x'.repeat(256), 'a%00b', 'b%2Fc'])
    t.equal((await owner.put(`/user/robots/${name}`)).status, 400, name.slice(0, 20))
  for (const body of [
    { description: 'x'.repeat(256) },
    { description: 'a\0b' },
    { unstructured_metadata: [] },
    { unstructured_metadata: { much: 'x'.repeat(9000) } },
    [],
  ])
    t.equal((await owner.put('/user/robots/bot', body)).status, 400, JSON.stringify(body).slice(0, 40))
  t.match(
    await owner.put('/user/robots/bot', { description: 'ü'.repeat(255), unstructured_metadata: { 'a\0b': '\0' } }),
    {
      status: 201,
      body: { unstructured_metadata: { 'a\0b': '\0' } },
    },
  )
  const json = { headers: { 'content-type': 'application/json' } }
  t.equal(
    (await owner.put('/user/robots/bare', undefined, json)).status,
    201,
    'a body that is announced may be missing',
  )
  t.equal((await owner.put('/user/robots/both', { description: null, unstructured_metadata: null })).status, 201)
})

t.test('robots are listed by name, with what was asked for', async t => {
  const registry = await startWithAccounts(t)
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  const robots = '/organization/acme/robots'
  for (const name of ['cc', 'aa', 'bb']) await owner.put(`${robots}/${name}`, { unstructured_metadata: { a: 1 } })
  await owner.put('/organization/acme/team/owners/members/acme+aa')
  const bot = ['acme+aa', String(field((await owner.get(`${robots}/aa`)).body, 'token'))] as const
  t.equal(await pushAs(registry.url, bot, 'acme/deep/app'), 201)

  const all = (await owner.get(robots)).body
  t.strictSame(names(all), ['acme+aa', 'acme+bb', 'acme+cc'])
  t.match(field(all, 'robots', 0), { token })
  t.strictSame(Object.keys(Object(field(all, 'robots', 0))), [
    'name',
    'created',
    'last_accessed',
    'description',
    'token',
  ])
  t.strictSame(names((await owner.get(`${robots}?limit=1`)).body), ['acme+aa', undefined, undefined])
  t.notOk(Object.hasOwn(Object(field((await owner.get(`${robots}?token=false`)).body, 'robots', 0)), 'token'))
  const whole = (await owner.get(`${robots}?permissions=true&token=False`)).body
  t.match(field(whole, 'robots'), [
    { name: 'acme+aa', teams: [{ name: 'owners', avatar: { kind: 'team' } }], repositories: ['deep/app'] },
    { name: 'acme+bb', teams: [], repositories: [] },
    { name: 'acme+cc' },
  ])
  t.strictSame((await owner.get(`${robots}/aa/permissions`)).body, {
    permissions: [{ repository: { name: 'deep/app', is_public: false }, role: 'admin' }],
  })
  t.strictSame((await owner.get(`${robots}/bb/permissions`)).body, { permissions: [] })
  t.equal((await owner.get(`${robots}?limit=0`)).status, 400)
})

t.test('robots and their tokens are for those whose they are', async t => {
  const registry = await startWithAccounts(t, { accounts: { readonlysuperusers: ['watcher'] } })
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  const member = await makeSession(registry, 'member')
  const stranger = await makeSession(registry, 'stranger')
  const watcher = await makeSession(registry, 'watcher')
  await owner.post('/organization/', { name: 'acme' })
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  await owner.put('/organization/acme/team/makers/members/member')
  await member.put(
    `/teaminvite/${String(field((await member.get('/user/notifications')).body, 'notifications', 0, 'id'))}`,
  )
  const robots = '/organization/acme/robots'
  await owner.put(`${robots}/bot`)
  await owner.put('/user/robots/mine')

  const listed = (await member.get(`${robots}?permissions=true`)).body
  t.strictSame(Object.keys(Object(field(listed, 'robots', 0))), ['name', 'created', 'last_accessed', 'description'])
  const watched = (await watcher.get(`${robots}?permissions=true`)).body
  t.match(field(watched, 'robots', 0), { teams: [], repositories: [] })
  t.notOk(Object.hasOwn(Object(field(watched, 'robots', 0)), 'token'))
  t.notOk(Object.hasOwn(Object((await watcher.get(`${robots}/bot`)).body), 'token'))
  t.equal((await watcher.get(`${robots}/bot/permissions`)).status, 200)

  for (const client of [stranger, registry.admin]) {
    t.equal((await client.get(robots)).status, 403)
    t.strictSame((await client.get(robots)).body, (await client.get('/organization/nowhere/robots')).body)
  }
  for (const client of [member, stranger, registry.admin]) {
    t.equal((await client.get(`${robots}/bot`)).status, 403)
    t.equal((await client.get(`${robots}/none`)).status, 403)
    t.equal((await client.get(`${robots}/bot/permissions`)).status, 403)
  }
  for (const client of [member, stranger, registry.admin, watcher]) {
    t.equal((await client.put(`${robots}/new`)).status, 403)
    t.equal((await client.delete(`${robots}/bot`)).status, 403)
    t.equal((await client.post(`${robots}/bot/regenerate`)).status, 403)
  }
  const nobody = createClient(url)
  for (const path of [robots, `${robots}/bot`, '/user/robots', '/user/robots/mine', '/user/robots/mine/permissions'])
    t.equal((await nobody.get(path)).status, 401, path)
  t.equal((await nobody.put('/user/robots/new')).status, 401)

  t.strictSame((await stranger.get('/user/robots')).body, { robots: [] })
  t.equal((await stranger.get('/user/robots/mine')).status, 400, 'one has only the robots of oneself')
  t.equal((await stranger.delete('/user/robots/mine')).status, 400)
  t.equal((await watcher.put('/user/robots/new')).status, 403, 'who only reads makes none')

  const reads = withToken(url, await tokenFor(registry, 'owner', ['user:read', 'repo:admin']))
  for (const path of [robots, `${robots}/bot`, '/user/robots']) t.equal((await reads.get(path)).status, 403)
  const admins = withToken(url, await tokenFor(registry, 'owner', ['org:admin']))
  t.match((await admins.get(`${robots}/bot`)).body, { token })
  t.equal((await admins.get('/user/robots')).status, 403)
})

t.test('a robot pushes and pulls, and knows nothing of the REST API', async t => {
  const registry = await startWithAccounts(t)
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  const ofAcme = ['acme+bot', String(field((await owner.put('/organization/acme/robots/bot')).body, 'token'))] as const
  const ofOwner = ['owner+bot', String(field((await owner.put('/user/robots/bot')).body, 'token'))] as const
  t.equal(await pushAs(url, ['owner', password], 'acme/app'), 201)
  t.equal(await pushAs(url, ['owner', password], 'owner/app'), 201)
  for (const [bot, other] of [
    [ofAcme, 'owner/app'],
    [ofOwner, 'acme/app'],
  ] as const) {
    t.equal(await pullAs(url, bot, 'acme/app'), 403, 'a robot has no right of its own')
    t.equal(await pullAs(url, bot, 'owner/app'), 403)
    t.equal(await pushAs(url, bot, other), 403)
    for (const headers of [basic(bot), { authorization: `Bearer ${bot[1]}` }])
      for (const path of ['/user/', '/user/robots', '/organization/acme/robots'])
        t.equal((await createClient(url, headers).get(path)).status, 401)
    const signedIn = await createClient(url).post('/signin', { username: bot[0], password: bot[1] })
    t.equal(signedIn.status, 403)
  }
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  await owner.put('/organization/acme/team/makers/members/acme+bot')
  t.equal(await pushAs(url, ofAcme, 'acme/made'), 201)
  t.equal(await pullAs(url, ofAcme, 'acme/made'), 200)
  t.equal(await pullAs(url, ofAcme, 'acme/app'), 403)
})

t.test('a robot gets tokens that end soon, and none that would outlive its own', async t => {
  const registry = await startWithAccounts(t)
  const owner = await makeSession(registry, 'owner')
  const bot = ['owner+bot', String(field((await owner.put('/user/robots/bot')).body, 'token'))] as const
  const given = await fetch(`${registry.url}/v2/auth?service=berth&offline_token=true`, { headers: basic(bot) })
  t.equal(given.status, 200)
  const body: unknown = await given.json()
  t.match(body, { token: String, expires_in: 300 })
  t.notOk(Object.hasOwn(Object(body), 'refresh_token'))
})

t.test('robots of a disabled user are of no use, and restricted users make none', async t => {
  const registry = await startWithAccounts(t, {
    accounts: { restrictedusers: true, restrictedusersallow: ['owner'] },
  })
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  const bot = ['owner+bot', String(field((await owner.put('/user/robots/bot')).body, 'token'))] as const
  t.equal((await (await makeSession(registry, 'bound')).put('/user/robots/bot')).status, 403)
  t.equal((await registry.admin.put('/user/robots/bot')).status, 201)

  t.equal(await logInto(url, bot), 200)
  t.equal((await registry.admin.put('/superuser/users/owner', { enabled: false })).status, 200)
  t.equal(await logInto(url, bot), 401)
  t.equal((await registry.admin.put('/superuser/users/owner', { enabled: true })).status, 200)
  t.equal(await logInto(url, bot), 200)
  t.equal((await registry.admin.delete('/superuser/users/owner')).status, 204)
  t.equal(await logInto(url, bot), 401)
})

/** The names of the first three robots of a list. */
function names(body: unknown): unknown[] {
  return [0, 1, 2].map(index => field(body, 'robots', index, 'name'))
}
