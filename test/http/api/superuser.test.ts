import t from 'tap'
import {
  type AccountsRegistry,
  adminPassword,
  type ApiClient,
  createClient,
  field,
  makeSession,
  makeUser,
  password,
  signIn,
  startWithAccounts,
  tokenFor,
  withToken,
} from '../../helpers/accounts.ts'
import { image } from '../../helpers/images.ts'

const basic = (name: string, secret = password) => ({
  authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`,
})

/** Pushes an image as a user. @returns its digest */
async function push({ url }: AccountsRegistry, name: string, repository: string): Promise<string> {
  const { blobs, manifest } = image()
  const headers = basic(name)
  for (const { digest, bytes } of blobs) {
    const target = `${url}/v2/${repository}/blobs/uploads/?digest=${digest}`
    await fetch(target, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/octet-stream' },
      body: bytes,
    })
  }
  const put = await fetch(`${url}/v2/${repository}/manifests/latest`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': manifest.mediaType },
    body: manifest.bytes,
  })
  if (put.status !== 201) throw new Error(`not pushed: ${put.status} ${await put.text()}`)
  return manifest.digest
}

async function pull({ url }: AccountsRegistry, name: string, reference: string): Promise<number> {
  const [repository = '', tag = 'latest'] = reference.split('@')
  const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, { headers: basic(name) })
  await response.arrayBuffer()
  return response.status
}

async function pages(client: ApiClient, path: string, key: string): Promise<unknown[][]> {
  const found: unknown[][] = []
  let next: unknown = ''
  do {
    const { status, body } = await client.get(next === '' ? path : `${path}&next_page=${String(next)}`)
    if (status !== 200) throw new Error(`no page: ${status}`)
    const rows = field(body, key)
    found.push(Array.isArray(rows) ? rows.map(row => field(row, key === 'tokens' ? 'title' : 'name')) : [])
    next = field(body, 'next_page')
  } while (next !== undefined && found.length < 20)
  return found
}

t.test('the first of the users is as the documents show it', async t => {
  const registry = await startWithAccounts(t)
  const token = withToken(registry.url, await tokenFor(registry, 'admin', ['super:user']))
  const { status, body } = await token.get('/superuser/users/')
  t.equal(status, 200)
  t.strictSame(body, {
    users: [
      {
        kind: 'user',
        name: 'admin',
        username: 'admin',
        email: 'admin@example.com',
        verified: true,
        avatar: { ...(field(body, 'users', 0, 'avatar') as object), kind: 'user' },
        super_user: true,
        global_readonly_super_user: false,
        enabled: true,
      },
    ],
  })
})

t.test('users come page by page, each once, with or without those that are disabled', async t => {
  const registry = await startWithAccounts(t)
  const { admin, operations } = registry
  for (const name of ['u1', 'u2', 'u3', 'u4']) await makeUser(registry, name)
  await operations.superuser.changeUser('u2', { enabled: false })
  t.strictSame(await pages(admin, '/superuser/users/?limit=2', 'users'), [['admin', 'u1'], ['u2', 'u3'], ['u4']])
  t.strictSame(await pages(admin, '/superuser/users/?limit=2&disabled=false', 'users'), [
    ['admin', 'u1'],
    ['u3', 'u4'],
  ])
  t.strictSame(await pages(admin, '/superuser/users/?limit=1000', 'users'), [['admin', 'u1', 'u2', 'u3', 'u4']])
  for (const query of ['limit=0', 'limit=x', 'next_page=x', 'next_page=InVzZXIi'])
    t.equal((await admin.get(`/superuser/users/?${query}`)).status, 400, query)
})

t.test('none but superusers come in; a read-only one looks, and changes nothing', async t => {
  const registry = await startWithAccounts(t, {
    accounts: { readonlysuperusers: ['auditor'], superusers: ['admin', 'auditor'] },
  })
  const { url } = registry
  const dev = await makeSession(registry, 'dev')
  const auditor = await makeSession(registry, 'auditor')
  const weak = withToken(url, await tokenFor(registry, 'admin', ['user:admin', 'org:admin', 'repo:admin']))
  const reads = ['/superuser/users/', '/superuser/users/dev', '/superuser/organizations/', '/superuser/apptokens']
  for (const path of reads) {
    t.match(await createClient(url).get(path), { status: 401, body: { error_type: 'invalid_token' } }, path)
    t.match(await dev.get(path), { status: 403, body: { error_type: 'insufficient_scope' } }, path)
    t.equal((await weak.get(path)).status, 403, path)
    t.equal((await auditor.get(path)).status, 200, path)
  }
  const writes = [
    ['post', '/superuser/users/', { username: 'other' }],
    ['put', '/superuser/users/dev', { enabled: false }],
    ['delete', '/superuser/users/dev', undefined],
    ['post', '/superusers/users/dev/sendrecovery', undefined],
    ['post', '/superuser/takeownership/dev', undefined],
    ['put', '/superuser/organizations/team', { name: 'crew' }],
    ['delete', '/superuser/organizations/team', undefined],
  ] as const
  for (const [method, path, body] of writes) {
    t.equal((await createClient(url)[method](path, body)).status, 401, path)
    for (const client of [dev, weak, auditor]) t.equal((await client[method](path, body)).status, 403, path)
  }
  t.match(await auditor.get('/user/'), { body: { global_readonly_super_user: true, can_create_repo: false } })
  t.match(await auditor.get('/superuser/users/dev'), { body: { enabled: true } })
})

t.test('a superuser makes a user, whose password is told once', async t => {
  const { admin, url } = await startWithAccounts(t)
  const made = await admin.post('/superuser/users/', { username: 'dev', email: 'dev@example.com' })
  t.match(made, {
    status: 200,
    body: {
      username: 'dev',
      email: 'dev@example.com',
      password: /^[A-Z0-9]{32}$/,
      encrypted_password: /^[A-Za-z0-9+/]+=*$/,
    },
  })
  const secret = String(field(made.body, 'password'))
  await signIn(url, { username: 'dev', password: secret })
  const encrypted = String(field(made.body, 'encrypted_password'))
  t.equal((await fetch(`${url}/v2/`, { headers: basic('dev', encrypted) })).status, 200)
  t.match(await admin.post('/superuser/users/', { username: 'nomail' }), { status: 200, body: { email: null } })
  t.match(await admin.post('/superuser/users/', { username: 'dev' }), {
    status: 400,
    body: { detail: 'The username already exists' },
  })
  t.match(await admin.post('/superuser/users/', { username: 'Bad' }), { status: 400 })
  t.match(await admin.post('/superuser/users/', { username: 'other', email: 'dev@example.com' }), {
    status: 400,
    body: { detail: 'E-mail address already used' },
  })
})

t.test('a superuser gives a user another password and address', async t => {
  const registry = await startWithAccounts(t)
  const { admin, url } = registry
  const dev = await makeSession(registry, 'dev')
  const changed = await admin.put('/superuser/users/dev', { password: 'another-password', email: 'dev@example.org' })
  t.match(changed, { status: 200, body: { username: 'dev', email: 'dev@example.org', encrypted_password: /./ } })
  t.equal((await dev.get('/user/')).status, 401)
  await signIn(url, { username: 'dev@example.org', password: 'another-password' })
  t.match(await admin.put('/superuser/users/dev', { password: 'short' }), { status: 400 })
  t.match(await admin.put('/superuser/users/dev', { email: 'admin@example.com' }), { status: 400 })
  t.match(await admin.put('/superuser/users/nobody', { enabled: true }), { status: 404 })
  t.match(await admin.get('/superuser/users/nobody'), { status: 404 })
  const unchanged = await admin.put('/superuser/users/dev', {})
  t.equal(field(unchanged.body, 'encrypted_password'), undefined)
})

t.test(
  'a disabled user can use no credential any more, nor can the robots; enabled again, sessions stay over',
  async t => {
    const registry = await startWithAccounts(t)
    const { admin, url, database } = registry
    const dev = await makeSession(registry, 'dev')
    const token = await tokenFor(registry, 'dev', ['user:read'])
    await push(registry, 'dev', 'dev/app')
    await database.change({
      name: 'test.robot',
      text: "insert into accounts (kind, name, namespace_id) select 'robot', 'dev+ci', id from namespaces where name = 'dev'",
    })
    const given = await fetch(`${url}/v2/auth?service=berth&offline_token=true`, { headers: basic('dev') })
    const refresh = String(field(await given.json(), 'refresh_token'))
    const robot = { name: 'test.robot_enabled', text: "select enabled from accounts where name = 'dev+ci'" }

    t.match(await admin.put('/superuser/users/dev', { enabled: false }), { status: 200, body: { enabled: false } })
    t.equal((await dev.get('/user/')).status, 401, 'session')
    t.equal((await withToken(url, token).get('/user/')).status, 401, 'OAuth token')
    t.equal(
      (await fetch(`${url}/v2/`, { headers: basic('dev') })).status,
      401,
      'password, which is remembered as right',
    )
    t.equal((await fetch(`${url}/v2/`, { headers: basic('$oauthtoken', token) })).status, 401)
    t.equal(await pull(registry, 'dev', 'dev/app'), 401)
    t.equal((await fetch(`${url}/v2/auth?service=berth`, { headers: basic('dev') })).status, 401)
    t.equal((await createClient(url).post('/signin', { username: 'dev', password })).status, 403)
    const form = new URLSearchParams({ grant_type: 'refresh_token', service: 'berth', refresh_token: refresh })
    t.equal((await fetch(`${url}/v2/auth`, { method: 'POST', body: form })).status, 401)
    t.strictSame(await database.rows(robot), [{ enabled: false }])

    t.match(await admin.put('/superuser/users/dev', { enabled: true }), { status: 200, body: { enabled: true } })
    t.strictSame(await database.rows(robot), [{ enabled: true }])
    t.equal(await pull(registry, 'dev', 'dev/app'), 200)
    t.equal((await withToken(url, token).get('/user/')).status, 200)
    t.equal((await dev.get('/user/')).status, 401)
    t.equal((await fetch(`${url}/v2/auth`, { method: 'POST', body: form })).status, 401)
  },
)

t.test('no superuser touches another, by the configuration or by the row', async t => {
  const registry = await startWithAccounts(t, { accounts: { superusers: ['admin', 'chief'] } })
  const { admin, operations } = registry
  await makeUser(registry, 'chief')
  await makeUser(registry, 'made')
  await operations.superuser.changeUser('made', { superuser: true })
  for (const name of ['chief', 'made', 'admin']) {
    t.match(await admin.put(`/superuser/users/${name}`, { enabled: false }), {
      status: 400,
      body: { detail: 'Cannot update a superuser' },
    })
    t.match(await admin.delete(`/superuser/users/${name}`), {
      status: 400,
      body: { detail: 'Cannot delete a superuser' },
    })
    t.match(await admin.post(`/superuser/takeownership/${name}`), {
      status: 400,
      body: { detail: 'Cannot take ownership of a superuser' },
    })
    t.match(await admin.get(`/superuser/users/${name}`), { body: { super_user: true, enabled: true } })
  }
})

t.test('who is made a superuser is one with the next request, and no more when that is taken back', async t => {
  const registry = await startWithAccounts(t)
  const dev = await makeSession(registry, 'dev')
  t.equal((await dev.get('/superuser/users/')).status, 403)
  await registry.operations.superuser.changeUser('dev', { superuser: true })
  t.equal((await dev.get('/superuser/users/')).status, 200)
  await registry.operations.superuser.changeUser('dev', { superuser: false })
  t.equal((await dev.get('/superuser/users/')).status, 403)
})

for (const sole of [false, true]) {
  t.test(
    `what a user had is gone with the user${sole ? ', also out of the memory of the only process' : ''}`,
    async t => {
      const registry = await startWithAccounts(t, { sole, accounts: { superusersfullaccess: true } })
      const { admin } = registry
      await makeUser(registry, 'dev')
      const digest = await push(registry, 'dev', 'dev/app')
      const look = async () => [
        await fetch(`${registry.url}/v2/dev/app/manifests/latest`, { headers: basic('admin', adminPassword) }),
        await fetch(`${registry.url}/v2/dev/app/manifests/${digest}`, { headers: basic('admin', adminPassword) }),
      ]
      for (const { status } of await look()) t.equal(status, 200)
      t.equal((await admin.delete('/superuser/users/dev')).status, 204)
      for (const { status } of await look()) t.equal(status, 404)
      t.equal(await pull(registry, 'dev', 'dev/app'), 401)
      t.equal((await admin.delete('/superuser/users/dev')).status, 404)
      await makeUser(registry, 'dev')
      t.not(await pull(registry, 'dev', `dev/app@${digest}`), 200)
    },
  )

  t.test(
    `an organization gets another name with all that is in it${sole ? ', in the only process too' : ''}`,
    async t => {
      const registry = await startWithAccounts(t, { sole })
      const { admin, operations, database } = registry
      const owner = await makeUser(registry, 'owner')
      await operations.organizations.create({ name: 'team', email: 'team@example.com' }, owner)
      await operations.organizations.create({ name: 'teams', email: undefined }, owner)
      const digest = await push(registry, 'owner', 'team/app/base')
      await push(registry, 'owner', 'teams/app')
      await database.change({
        name: 'test.robot',
        text: "insert into accounts (kind, name, namespace_id) select 'robot', 'team+ci', id from namespaces where name = 'team'",
      })
      t.equal(await pull(registry, 'owner', 'team/app/base'), 200)

      const renamed = await admin.put('/superuser/organizations/team', { name: 'crew-of-ours' })
      t.match(renamed, { status: 200, body: { name: 'crew-of-ours', avatar: { kind: 'org' } } })
      t.equal(await pull(registry, 'owner', 'crew-of-ours/app/base'), 200)
      t.equal(await pull(registry, 'owner', `crew-of-ours/app/base@${digest}`), 200)
      t.not(await pull(registry, 'owner', 'team/app/base'), 200)
      t.not(await pull(registry, 'owner', `team/app/base@${digest}`), 200)
      t.equal(await pull(registry, 'owner', 'teams/app'), 200)
      t.strictSame(
        await database.rows({ name: 'test.robots', text: "select name from accounts where kind = 'robot'" }),
        [{ name: 'crew-of-ours+ci' }],
      )
    },
  )
}

t.test('a new name that can not be taken changes nothing', async t => {
  const registry = await startWithAccounts(t)
  const { admin, operations } = registry
  const owner = await makeUser(registry, 'owner')
  await operations.organizations.create({ name: 'team', email: undefined }, owner)
  const long = `team/${'a'.repeat(240)}`
  await push(registry, 'owner', long)
  for (const name of ['owner', 'Team', 'library', 'x'.repeat(20), ''])
    t.match(await admin.put('/superuser/organizations/team', { name }), { status: 400 }, name)
  t.match(await admin.put('/superuser/organizations/nobody', { name: 'other' }), { status: 404 })
  t.match(
    await admin.put('/superuser/organizations/owner', { name: 'other' }),
    { status: 404 },
    'a user is no organization',
  )
  t.match(await admin.put('/superuser/organizations/team', { name: 'team' }), { status: 200 })
  t.equal(await pull(registry, 'owner', long), 200)
})

t.test('organizations come page by page, and one that is deleted is gone', async t => {
  const registry = await startWithAccounts(t)
  const { admin, operations } = registry
  const owner = await makeUser(registry, 'owner')
  for (const name of ['o1', 'o2', 'o3'])
    await operations.organizations.create({ name, email: `${name}@example.com` }, owner)
  t.strictSame(await pages(admin, '/superuser/organizations/?limit=2', 'organizations'), [['o1', 'o2'], ['o3']])
  t.match(await admin.get('/superuser/organizations/'), {
    body: { organizations: [{ name: 'o1', email: 'o1@example.com', avatar: { name: 'o1', kind: 'org' } }] },
  })
  await push(registry, 'owner', 'o1/app')
  t.equal((await admin.delete('/superuser/organizations/o1')).status, 204)
  t.not(await pull(registry, 'owner', 'o1/app'), 200)
  t.equal((await admin.delete('/superuser/organizations/o1')).status, 404)
  t.equal((await admin.delete('/superuser/organizations/owner')).status, 404, 'a user is no organization')
  await operations.organizations.create({ name: 'o1', email: undefined }, owner)
  t.not(await pull(registry, 'owner', 'o1/app'), 200)
})

t.test('a superuser takes over an organization, a user, and what came by pushes without accounts', async t => {
  const registry = await startWithAccounts(t)
  const { admin, operations, database, url } = registry
  const owner = await makeUser(registry, 'owner')
  await operations.organizations.create({ name: 'team', email: undefined }, owner)
  const dev = await makeSession(registry, 'dev')
  await push(registry, 'dev', 'dev/app')
  for (const text of [
    "insert into namespaces (name) values ('old')",
    "insert into repositories (name, namespace_id) select 'old/app', id from namespaces where name = 'old'",
  ])
    await database.change({ name: `test.${text.length}`, text })

  const me = await operations.users.signIn({ name: 'admin', secret: adminPassword }, '127.0.0.1')
  for (const namespace of ['team', 'dev', 'old']) {
    const taken = await admin.post(`/superuser/takeownership/${namespace}`)
    t.equal(taken.status, 200)
    t.strictSame(taken.body, { namespace })
    t.match(await operations.organizations.rights(namespace, me), { isAdmin: true })
    t.equal((await admin.post(`/superuser/takeownership/${namespace}`)).status, 200, 'again')
  }
  for (const repository of ['dev/app', 'old/app']) {
    const list = await fetch(`${url}/v2/${repository}/tags/list`, { headers: basic('admin', adminPassword) })
    t.equal(list.status, 200, repository)
  }
  t.match(await operations.organizations.rights('team', owner), { isAdmin: true })
  t.equal((await dev.get('/user/')).status, 401)
  t.equal((await createClient(url).post('/signin', { username: 'dev', password })).status, 403)
  t.equal((await admin.post('/superuser/takeownership/nobody')).status, 404)
})

t.test('the application tokens of all users are listed without what they are shown by', async t => {
  const registry = await startWithAccounts(t)
  const { admin, database } = registry
  for (const name of ['u1', 'u2', 'u3']) await makeUser(registry, name)
  await database.change({
    name: 'test.tokens',
    text: `insert into app_tokens (account_id, title, hash, token, expires_at)
           select id, 'of ' || name, name::bytea, 'secret', case name when 'u3' then now() - interval '1 day' end
             from accounts where name like 'u%'`,
  })
  const titles = (await pages(admin, '/superuser/apptokens?limit=1', 'tokens')).flat().map(String)
  t.strictSame(titles.toSorted(), ['of u1', 'of u2'])
  const { body } = await admin.get('/superuser/apptokens')
  t.strictSame(Object.keys(field(body, 'tokens', 0) as object).toSorted(), [
    'created',
    'expiration',
    'last_accessed',
    'title',
    'username',
    'uuid',
  ])
})

t.test('superusers enter their password again before they change anything', async t => {
  const { admin, database } = await startWithAccounts(t)
  await database.change({ name: 'test.age', text: "update sessions set authenticated_at = now() - interval '1 hour'" })
  t.match(await admin.post('/superuser/users/', { username: 'dev' }), {
    status: 401,
    body: { error_type: 'fresh_login_required' },
  })
  t.equal((await admin.get('/superuser/users/')).status, 200)
})
