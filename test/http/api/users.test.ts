import t from 'tap'
import {
  createClient,
  field,
  makeSession,
  makeUser,
  password,
  sessionOf,
  signIn,
  startWithAccounts,
  tokenFor,
  withToken,
} from '../../helpers/accounts.ts'
import { startRegistry } from '../../helpers/registry.ts'

const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

t.test('the user view tells a user all of the own account', async t => {
  const registry = await startWithAccounts(t)
  const dev = await makeSession(registry, 'dev')
  const { status, body } = await dev.get('/user/')
  t.equal(status, 200)
  t.strictSame(body, {
    anonymous: false,
    username: 'dev',
    avatar: field(body, 'avatar'),
    organizations: [],
    can_create_repo: true,
    is_me: true,
    verified: true,
    email: 'dev@example.com',
    logins: [],
    invoice_email: false,
    invoice_email_address: null,
    preferred_namespace: false,
    tag_expiration_s: 1209600,
    prompts: [],
    company: null,
    family_name: null,
    given_name: null,
    location: null,
    is_free_account: true,
    has_password_set: true,
  })
  t.match(field(body, 'avatar'), { name: 'dev', hash: /^[0-9a-f]{64}$/, color: /^#[0-9a-f]{6}$/, kind: 'user' })
  t.match(await registry.admin.get('/user/'), { body: { super_user: true } })
  t.equal((await createClient(registry.url).get('/user/')).status, 401)
})

t.test('the organizations of a user are in the view, with what the user may there', async t => {
  const registry = await startWithAccounts(t)
  const { operations, url } = registry
  const owner = await makeUser(registry, 'owner')
  await operations.organizations.create({ name: 'zoo', email: undefined }, owner)
  await operations.organizations.create({ name: 'art', email: undefined }, owner)
  const client = await signIn(url, { username: 'owner', password })
  const { body } = await client.get('/user/')
  const view = (name: string, at: number) => ({
    name,
    avatar: field(body, 'organizations', at, 'avatar'),
    can_create_repo: true,
    public: false,
    is_org_admin: true,
    preferred_namespace: false,
  })
  t.strictSame(field(body, 'organizations'), [view('art', 0), view('zoo', 1)])
})

t.test('a token that may only read the user does not tell the e-mail address', async t => {
  const registry = await startWithAccounts(t)
  const reading = withToken(registry.url, await tokenFor(registry, 'admin', ['user:read']))
  const { body } = await reading.get('/user/')
  t.strictSame(body, { anonymous: false, username: 'admin', avatar: field(body, 'avatar'), organizations: [] })
  t.equal((await reading.put('/user/', { company: 'x' })).status, 403)
  const other = withToken(registry.url, await tokenFor(registry, 'admin', ['repo:admin']))
  t.match(await other.get('/user/'), { status: 403, body: { error_type: 'insufficient_scope' } })
})

t.test('whoever may sign up gets an account and a session', async t => {
  const { url } = await startWithAccounts(t, { accounts: { usercreation: true } })
  const answer = await createClient(url).post('/user/', { username: 'new', password, email: 'new@example.com' })
  t.match(answer, { status: 200, body: { username: 'new', email: 'new@example.com', is_me: true } })
  const client = await sessionOf(url, answer.headers)
  t.match(await client.get('/user/'), { status: 200, body: { username: 'new' } })
  t.notOk(field(answer.body, 'super_user'))
})

t.test('sign-up refuses names, addresses and passwords that can not be taken, and says why', async t => {
  const registry = await startWithAccounts(t, { accounts: { usercreation: true } })
  const owner = await makeUser(registry, 'owner')
  await registry.operations.organizations.create({ name: 'team', email: undefined }, owner)
  const anyone = createClient(registry.url)
  const cases = [
    [{ username: 'owner', password }, 'The username already exists'],
    [{ username: 'team', password }, 'The username already exists'],
    [{ username: 'new', password, email: 'OWNER@example.com' }, 'E-mail address already used'],
    [{ username: 'New', password }, /^Invalid namespace name "New"/],
    [{ username: 'library', password }, 'The name library is reserved'],
    [{ username: 'new', password: 'short' }, /^Invalid password, password must be at least 8 characters/],
    [{ username: 'new', password, email: 'none' }, 'Invalid email address: none'],
    [{ username: 'new' }, /password/],
    [{ username: 'nu\0l', password }, /^Invalid namespace name/],
  ] as const
  for (const [wish, message] of cases) {
    const answer = await anyone.post('/user/', wish)
    t.match(answer, {
      status: 400,
      body: { error_type: 'invalid_request', error_message: message, detail: message, status: 400 },
    })
    t.strictSame(answer.headers.getSetCookie(), [])
  }
})

t.test('two who sign up by one name at once: one gets it', async t => {
  const { url } = await startWithAccounts(t, { accounts: { usercreation: true } })
  const wishes = ['a', 'b', 'c', 'd'].map(word => ({ username: 'same', password, email: `${word}@example.com` }))
  const named = await Promise.all(wishes.map(wish => createClient(url).post('/user/', wish)))
  t.strictSame(
    named.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 400, 400, 400],
  )
  const addressed = await Promise.all(
    ['e1', 'e2', 'e3'].map(username =>
      createClient(url).post('/user/', { username, password, email: 'e@example.com' }),
    ),
  )
  t.strictSame(
    addressed.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 400, 400],
  )
})

t.test('where the settings do not let anyone sign up or initialize, there is nothing to be found', async t => {
  const { url } = await startWithAccounts(t)
  const anyone = createClient(url)
  t.match(await anyone.post('/user/', { username: 'new', password }), {
    status: 404,
    body: { error_type: 'not_found' },
  })
  t.match(await anyone.post('/user/initialize', { username: 'new', password }), {
    status: 404,
    body: { error_type: 'not_found' },
  })
  t.match(await anyone.post('/recovery', { email: 'admin@example.com' }), {
    status: 404,
    body: { error_type: 'not_found' },
  })
})

t.test('the first user is made while there is none, and a request that is no wish is told so', async t => {
  const { url } = await startRegistry(t, { auth: { accounts: { initialize: true } } })
  const anyone = createClient(url)
  t.match(await anyone.post('/user/initialize', { username: 'first' }), {
    status: 400,
    body: { error_type: 'invalid_request', detail: /password/ },
  })
  t.match(await anyone.post('/user/initialize', { username: 'First', password }), {
    status: 400,
    body: { message: /^Failed to initialize user: Invalid namespace name "First"/ },
  })
  const wishes = ['one', 'two', 'three'].map(username => anyone.post('/user/initialize', { username, password }))
  const answers = await Promise.all(wishes)
  t.strictSame(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 400, 400],
  )
  const made = answers.find(({ status }) => status === 200)
  const first = await sessionOf(url, made?.headers ?? new Headers())
  t.match(await first.get('/user/'), { status: 200, body: { email: '' } })
  t.notOk(field(made?.body, 'access_token'))
})

t.test('a NUL where a name should be is a mistake of the client', async t => {
  const { url, admin } = await startWithAccounts(t)
  t.equal((await createClient(url).get('/users/a%00b')).status, 400)
  t.equal((await createClient(url).post('/signin', { username: 'a\0b', password })).status, 403)
  t.equal((await admin.get('/superuser/users/a%00b')).status, 400)
})

t.test('a user changes what is said of the user, and leaves the rest as it is', async t => {
  const registry = await startWithAccounts(t)
  const dev = await makeSession(registry, 'dev')
  const changes = {
    email: 'new@example.com',
    given_name: 'Ada',
    family_name: 'Lovelace',
    company: 'Example',
    location: 'London',
    tag_expiration_s: 86400,
    invoice_email: true,
    invoice_email_address: 'bills@example.com',
  }
  t.match(await dev.put('/user/', changes), { status: 200, body: changes })
  t.match(await dev.get('/user/'), { body: changes })
  t.match(await dev.put('/user/', { company: null, invoice_email: false }), {
    status: 200,
    body: { ...changes, company: null, invoice_email: false },
  })
  t.match(await dev.put('/user/', {}), { status: 200, body: { given_name: 'Ada' } })
})

t.test('changes that can not be made are refused, and nothing is changed', async t => {
  const registry = await startWithAccounts(t)
  const dev = await makeSession(registry, 'dev')
  const refused = [
    { email: 'admin@example.com', company: 'x' },
    { email: 'none', company: 'x' },
    { password: 'short', company: 'x' },
    { tag_expiration_s: -1 },
    { tag_expiration_s: 2 ** 31 },
    { company: 'x'.repeat(256) },
    { company: 'nu\0l' },
  ]
  for (const wish of refused)
    t.match(await dev.put('/user/', wish), { status: 400, body: { error_type: 'invalid_request' } })
  t.match(await dev.get('/user/'), { body: { company: null, email: 'dev@example.com', tag_expiration_s: 1209600 } })
})

t.test('a new password ends the other sessions and the refresh tokens, and counts at once', async t => {
  const registry = await startWithAccounts(t)
  const { url } = registry
  const dev = await makeSession(registry, 'dev')
  const other = await signIn(url, { username: 'dev', password })
  const given = await fetch(`${url}/v2/auth?service=berth&offline_token=true`, {
    headers: { authorization: basic('dev', password) },
  })
  const refresh = String(field(await given.json(), 'refresh_token'))
  t.match(refresh, /^[A-Z0-9]{64}$/)

  const changed = await dev.put('/user/', { password: 'another-password' })
  t.equal(changed.status, 200)
  t.equal((await other.get('/user/')).status, 401)
  const mine = await sessionOf(url, changed.headers)
  t.equal((await mine.get('/user/')).status, 200, 'the session of the request goes on under another cookie')
  t.equal((await dev.get('/user/')).status, 401)

  const form = new URLSearchParams({ grant_type: 'refresh_token', service: 'berth', refresh_token: refresh })
  t.equal((await fetch(`${url}/v2/auth`, { method: 'POST', body: form })).status, 401)
  t.equal((await fetch(`${url}/v2/`, { headers: { authorization: basic('dev', password) } })).status, 401)
  t.equal((await fetch(`${url}/v2/`, { headers: { authorization: basic('dev', 'another-password') } })).status, 200)
})

t.test(
  'a user who ends the account takes all along: sessions, tokens, repositories, robots; the name is free',
  async t => {
    const registry = await startWithAccounts(t, { accounts: { usercreation: true } })
    const { url, database } = registry
    const dev = await makeSession(registry, 'dev')
    const token = withToken(url, await tokenFor(registry, 'dev', ['user:read']))
    await database.change({
      name: 'test.robot',
      text: "insert into accounts (kind, name, namespace_id) select 'robot', 'dev+ci', id from namespaces where name = 'dev'",
    })
    await database.change({
      name: 'test.repository',
      text: "insert into repositories (name, namespace_id, visibility) select 'dev/app', id, 'public' from namespaces where name = 'dev'",
    })
    const anyone = createClient(url)
    t.equal((await anyone.get(`${url}/api/v1/users/dev`)).status, 200)

    const gone = await dev.delete('/user/')
    t.equal(gone.status, 204)
    t.match(gone.headers.getSetCookie()[0], /^berth_session=;/)
    t.equal((await dev.get('/user/')).status, 401)
    t.equal((await token.get('/user/')).status, 401)
    t.equal((await anyone.get('/users/dev')).status, 404)
    const left = await database.rows({
      name: 'test.left',
      text: "select name from accounts where name like 'dev%' union all select name from repositories where name like 'dev/%'",
    })
    t.strictSame(left, [])
    const again = await anyone.post('/user/', { username: 'dev', password })
    t.equal(again.status, 200)
  },
)

t.test('the only admin of an organization can not go', async t => {
  const registry = await startWithAccounts(t)
  const { operations, url } = registry
  const dev = await makeUser(registry, 'dev')
  await operations.organizations.create({ name: 'team', email: undefined }, dev)
  const client = await signIn(url, { username: 'dev', password })
  const refusal = {
    status: 400,
    body: { detail: 'Cannot delete dev as you are the only admin for organizations: team' },
  }
  t.match(await client.delete('/user/'), refusal)
  await makeUser(registry, 'other')
  t.match(await client.post('/user/convert', { adminUser: 'other', adminPassword: password }), { status: 400 })
  t.match(await client.get('/user/'), { status: 200 })

  await operations.superuser.takeOwnership(
    'team',
    await operations.users.signIn({ name: 'other', secret: password }, '127.0.0.1'),
  )
  t.equal((await client.delete('/user/')).status, 204)
})

t.test('whom the configuration names a superuser can not go: the next of that name would be one', async t => {
  const { admin } = await startWithAccounts(t, { accounts: { usercreation: true } })
  t.match(await admin.delete('/user/'), { status: 400, body: { detail: /Take it out of auth\.accounts first/ } })
})

t.test('the client key logs in to the registry in the password’s place, and only there', async t => {
  const registry = await startWithAccounts(t)
  const { url } = registry
  const dev = await makeSession(registry, 'dev')
  const { status, body } = await dev.post('/user/clientkey', { password })
  t.equal(status, 200)
  const key = String(field(body, 'key'))
  t.match(key, /^[A-Za-z0-9+/]+=*$/)
  t.equal((await fetch(`${url}/v2/`, { headers: { authorization: basic('dev', key) } })).status, 200)
  t.equal((await createClient(url).post('/signin', { username: 'dev', password: key })).status, 403)
  t.match(await dev.post('/user/clientkey', { password: 'wrongpass123' }), { status: 400 })
  t.match(await dev.post('/user/clientkey', { password: key }), { status: 400 })
})

t.test(
  'a user turns into an organization: another user is its admin, and the user’s own credentials are over',
  async t => {
    const registry = await startWithAccounts(t)
    const { url, operations, database } = registry
    const dev = await makeSession(registry, 'dev')
    const token = withToken(url, await tokenFor(registry, 'dev', ['user:read']))
    const boss = await makeUser(registry, 'boss')
    await database.change({
      name: 'test.repository',
      text: "insert into repositories (name, namespace_id) select 'dev/app', id from namespaces where name = 'dev'",
    })

    t.match(await dev.post('/user/convert', { adminUser: 'boss', adminPassword: 'wrongpass123' }), {
      status: 400,
      body: { detail: 'The admin user credentials are not valid' },
    })
    t.match(await dev.post('/user/convert', { adminUser: 'dev', adminPassword: password }), {
      status: 400,
      body: { detail: 'The admin user is not valid' },
    })
    const converted = await dev.post('/user/convert', { adminUser: 'boss', adminPassword: password })
    t.match(converted, { status: 200, body: { success: true } })
    t.match(await (await sessionOf(url, converted.headers)).get('/user/'), {
      body: { username: 'boss', organizations: [{ name: 'dev', is_org_admin: true, can_create_repo: true }] },
    })
    t.equal((await dev.get('/user/')).status, 401)
    t.equal((await token.get('/user/')).status, 401)
    t.equal((await createClient(url).post('/signin', { username: 'dev', password })).status, 403)
    t.match(await operations.organizations.rights('dev', boss), { isAdmin: true })
    t.equal(
      (await fetch(`${url}/v2/dev/app/tags/list`, { headers: { authorization: basic('boss', password) } })).status,
      200,
    )
  },
)

t.test('anyone may ask for a user’s picture, where anonymous access is on', async t => {
  const registry = await startWithAccounts(t)
  await makeUser(registry, 'dev')
  const { status, body } = await createClient(registry.url).get('/users/dev')
  t.equal(status, 200)
  t.strictSame(body, { anonymous: false, username: 'dev', avatar: field(body, 'avatar') })
  t.equal((await createClient(registry.url).get('/users/nobody')).status, 404)

  const closed = await startWithAccounts(t, { accounts: { anonymous: false } })
  t.equal((await createClient(closed.url).get('/users/admin')).status, 401)
  t.equal((await createClient(closed.url).get('/users/nobody')).status, 401)
  t.equal((await closed.admin.get('/users/admin')).status, 200)
})

t.test('a recovery code sets a new password, once', async t => {
  const registry = await startWithAccounts(t)
  const { url, admin } = registry
  const dev = await makeSession(registry, 'dev')
  const made = await admin.post('/superusers/users/dev/sendrecovery')
  t.match(made, { status: 200, body: { email: 'dev@example.com', code: /^[A-Z0-9]{40}$/, expiration: /-0000$/ } })
  const code = field(made.body, 'code')
  const anyone = createClient(url)
  t.match(await anyone.put('/recovery', { code, password: 'short' }), { status: 400 })
  t.match(await anyone.put('/recovery', { code: 'A'.repeat(40), password: 'recovered-1' }), { status: 400 })
  t.match(await anyone.put('/recovery', { code, password: 'recovered-1' }), { status: 200, body: { username: 'dev' } })
  t.match(await anyone.put('/recovery', { code, password: 'recovered-2' }), { status: 400 })
  t.equal((await dev.get('/user/')).status, 401)
  await signIn(url, { username: 'dev', password: 'recovered-1' })

  t.match(await admin.post('/superusers/users/admin/sendrecovery'), { status: 400 })
  t.match(await admin.post('/superusers/users/nobody/sendrecovery'), { status: 404 })
})

t.test('a recovery code ends with its time, and with a password that was set meanwhile', async t => {
  const registry = await startWithAccounts(t)
  const { url, operations, database } = registry
  await makeUser(registry, 'dev')
  const first = await operations.recovery.createCode('dev')
  await operations.superuser.changeUser('dev', { password: 'another-password' })
  const anyone = createClient(url)
  t.equal((await anyone.put('/recovery', { code: first.code, password: 'recovered-1' })).status, 400)
  const second = await operations.recovery.createCode('dev')
  await database.change({
    name: 'test.old',
    text: "update recovery_codes set expires_at = now() - interval '1 second'",
  })
  t.equal((await anyone.put('/recovery', { code: second.code, password: 'recovered-1' })).status, 400)
})
