import t from 'tap'
import {
  field,
  makeSession,
  makeUser,
  password,
  signIn,
  startWithAccounts,
  tokenFor,
  withToken,
} from '../../helpers/accounts.ts'
import { createClient } from '../../helpers/accounts.ts'
import { logInto, pullAs, pushAs } from '../../helpers/docker.ts'

const avatar = { name: String, hash: /^[0-9a-f]+$/, color: /^#[0-9a-f]{6}$/ }

t.test('who makes an organization is its owner', async t => {
  const registry = await startWithAccounts(t)
  const made = await registry.admin.post('/organization/', { name: 'testorg', email: 'testorg@example.com' })
  t.equal(made.status, 201)
  t.equal(made.body, 'Created')
  t.match(made.headers.get('content-type'), 'application/json')

  const { status, body } = await registry.admin.get('/organization/testorg')
  t.equal(status, 200)
  t.match(body, {
    avatar: { ...avatar, name: 'testorg', kind: 'org' },
    teams: { owners: { avatar: { ...avatar, kind: 'team' } } },
  })
  t.strictSame(body, {
    name: 'testorg',
    email: 'testorg@example.com',
    contact_email: 'testorg@example.com',
    avatar: field(body, 'avatar'),
    is_admin: true,
    is_member: true,
    teams: {
      owners: {
        name: 'owners',
        description: '',
        role: 'admin',
        avatar: field(body, 'teams', 'owners', 'avatar'),
        can_view: true,
        repo_count: 0,
        member_count: 1,
        is_synced: false,
      },
    },
    ordered_teams: ['owners'],
    invoice_email: false,
    invoice_email_address: null,
    tag_expiration_s: 1209600,
    is_free_account: true,
  })
})

t.test('an organization has a name that no one has, and that is one', async t => {
  const registry = await startWithAccounts(t)
  const owner = await makeSession(registry, 'owner')
  t.equal((await owner.post('/organization/', { name: 'acme' })).status, 201)
  const refusals = [
    { name: 'acme' },
    { name: 'owner' },
    { name: 'Acme' },
    { name: 'a' },
    { name: 'x'.repeat(256) },
    { name: 'a+b' },
    { name: 'other', email: 'no address' },
    { name: 'other', email: 'a\0@example.com' },
    { email: 'a@example.com' },
    { name: 'api' },
  ]
  for (const wish of refusals) {
    const { status, body } = await owner.post('/organization/', wish)
    t.equal(status, 400, JSON.stringify(wish).slice(0, 60))
    t.match(body, { status: 400, error_type: 'invalid_request' })
  }
  t.match((await owner.post('/organization/', { name: 'acme' })).body, {
    error_message: 'A user or organization with this name already exists',
  })
})

t.test('not everyone may make an organization', async t => {
  const registry = await startWithAccounts(t, {
    accounts: { readonlysuperusers: ['watcher'], restrictedusers: true, restrictedusersallow: ['free'] },
  })
  await makeUser(registry, 'free')
  const wish = { name: 'acme' }
  t.equal((await createClient(registry.url).post('/organization/', wish)).status, 401)
  t.equal((await (await makeSession(registry, 'watcher')).post('/organization/', wish)).status, 403)
  t.equal((await (await makeSession(registry, 'bound')).post('/organization/', wish)).status, 403)
  const weak = withToken(registry.url, await tokenFor(registry, 'free', ['org:admin', 'user:read']))
  t.equal((await weak.post('/organization/', wish)).status, 403)
  t.equal((await createClient(registry.url).get('/organization/acme')).status, 404)

  const strong = withToken(registry.url, await tokenFor(registry, 'free', ['user:admin']))
  t.equal((await strong.post('/organization/', wish)).status, 201)
  t.equal((await registry.admin.post('/organization/', { name: 'other' })).status, 201)
})

t.test('strangers see the name of an organization, members its teams, and admins the rest', async t => {
  const registry = await startWithAccounts(t, { accounts: { readonlysuperusers: ['watcher'] } })
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  const member = await makeSession(registry, 'member')
  await owner.post('/organization/', { name: 'acme', contact_email: 'acme@example.com' })
  await owner.put('/organization/acme/team/readers', { role: 'member' })
  await join(owner, member, 'acme', 'readers', 'member')

  const weak = withToken(url, await tokenFor(registry, 'owner', ['user:admin', 'repo:admin']))
  const base = {
    name: 'acme',
    email: '',
    contact_email: '',
    avatar: { kind: 'org' },
    is_admin: false,
    is_member: false,
  }
  const strangers = {
    anonymous: createClient(url),
    stranger: await makeSession(registry, 'stranger'),
    'a superuser': registry.admin,
    'a token of the owner without the scope': weak,
  }
  for (const [who, client] of Object.entries(strangers)) {
    const { status, body } = await client.get('/organization/acme')
    t.equal(status, 200, who)
    t.match(body, base, who)
    t.strictSame(Object.keys(Object(body)).toSorted(), Object.keys(base).toSorted(), who)
  }

  const seen = (await member.get('/organization/acme')).body
  t.match(seen, { is_admin: false, is_member: true, email: '', ordered_teams: ['owners', 'readers'] })
  t.match(seen, {
    teams: { owners: { can_view: false, member_count: 1 }, readers: { can_view: true, member_count: 1 } },
  })
  t.notOk(Object.hasOwn(Object(seen), 'tag_expiration_s'))

  const watched = (await (await makeSession(registry, 'watcher')).get('/organization/acme')).body
  t.match(watched, { is_admin: false, is_member: false, email: 'acme@example.com', tag_expiration_s: 1209600 })
  t.match(watched, { teams: { owners: { can_view: true } } })

  const strong = withToken(url, await tokenFor(registry, 'owner', ['org:admin']))
  t.match((await strong.get('/organization/acme')).body, { is_admin: true, email: 'acme@example.com' })
  t.match(await createClient(url).get('/organization/owner'), { status: 404 }, 'a user is no organization')
  t.match(await createClient(url).get('/organization/%00'), { status: 404 })
})

t.test('where nobody is let in without a name, nothing is said of organizations either', async t => {
  const registry = await startWithAccounts(t, { accounts: { anonymous: false } })
  await registry.admin.post('/organization/', { name: 'acme' })
  t.equal((await createClient(registry.url).get('/organization/acme')).status, 401)
  t.equal((await createClient(registry.url).get('/organization/none')).status, 401)
})

t.test('only admins change the settings of an organization', async t => {
  const registry = await startWithAccounts(t, { accounts: { readonlysuperusers: ['watcher'] } })
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  const member = await makeSession(registry, 'member')
  const watcher = await makeSession(registry, 'watcher')
  await owner.post('/organization/', { name: 'acme', email: 'acme@example.com' })
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  await join(owner, member, 'acme', 'makers', 'member')
  const addWatcher = `insert into team_members (team_id, account_id)
                      select t.id, a.id from teams t, accounts a where t.name = 'owners' and a.name = 'watcher'`
  await registry.database.change({ name: 'test.add_watcher', text: addWatcher })
  const change = { tag_expiration_s: 0 }

  t.equal((await createClient(url).put('/organization/acme', change)).status, 401)
  for (const client of [member, watcher, registry.admin, await makeSession(registry, 'stranger')])
    t.equal((await client.put('/organization/acme', change)).status, 403, 'an owner who only reads neither')
  t.match((await watcher.get('/organization/acme')).body, {
    is_admin: false,
    is_member: true,
    tag_expiration_s: 1209600,
  })
  t.equal((await owner.put('/organization/acme', change, { headers: { 'x-csrf-token': '' } })).status, 403)

  const changed = await owner.put('/organization/acme', {
    contact_email: 'new@example.com',
    invoice_email: true,
    invoice_email_address: 'bills@example.com',
    tag_expiration_s: 86400,
  })
  const now = {
    email: 'new@example.com',
    contact_email: 'new@example.com',
    invoice_email: true,
    invoice_email_address: 'bills@example.com',
    tag_expiration_s: 86400,
  }
  t.equal(changed.status, 200)
  t.match(changed.body, { ...now, is_admin: true, ordered_teams: ['owners', 'makers'] })
  t.match((await owner.put('/organization/acme', {})).body, now, 'what is left out stays')
  t.match((await owner.put('/organization/acme', { email: '', invoice_email_address: null })).body, {
    email: '',
    invoice_email_address: null,
    tag_expiration_s: 86400,
  })
  for (const wrong of [{ email: 'nothing' }, { tag_expiration_s: -1 }, { tag_expiration_s: 2 ** 40 }])
    t.equal((await owner.put('/organization/acme', wrong)).status, 400)
})

t.test('a superuser with full access does with organizations what their owners do', async t => {
  const registry = await startWithAccounts(t, { accounts: { superusersfullaccess: true } })
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme', email: 'acme@example.com' })
  t.match((await registry.admin.get('/organization/acme')).body, { is_admin: true, email: 'acme@example.com' })
  t.equal((await registry.admin.put('/organization/acme', { tag_expiration_s: 1 })).status, 200)
  t.equal((await registry.admin.put('/organization/acme/team/makers', { role: 'creator' })).status, 200)
  t.equal((await registry.admin.delete('/organization/acme')).status, 204)
})

t.test('with an organization ends all that it had, and its name is free', async t => {
  const registry = await startWithAccounts(t)
  const { url, database } = registry
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  const login = ['owner', password] as const
  t.equal(await pushAs(url, login, 'acme/app'), 201)
  const token = String(field((await owner.put('/organization/acme/robots/bot')).body, 'token'))
  await owner.put('/organization/acme/team/owners/members/acme+bot')
  await owner.post('/organization/acme/prototypes', { role: 'read', delegate: { kind: 'team', name: 'owners' } })
  t.equal((await owner.post('/organization/acme/applications', { name: 'ci' })).status, 200)
  t.equal(await pullAs(url, ['acme+bot', token], 'acme/app'), 200)

  const stranger = await makeSession(registry, 'stranger')
  await owner.put('/organization/acme/team/owners/members/stranger')
  t.equal((await stranger.delete('/organization/acme')).status, 403)
  t.equal((await registry.admin.delete('/organization/acme')).status, 403)
  t.equal((await owner.delete('/organization/acme')).status, 204)

  t.equal((await owner.get('/organization/acme')).status, 404)
  t.equal((await owner.delete('/organization/acme')).status, 403)
  t.equal(await logInto(url, ['acme+bot', token]), 401)
  t.equal(await pullAs(url, login, 'acme/app'), 403)
  const tables = ['teams', 'team_members', 'team_invites', 'robots', 'default_permissions', 'oauth_applications']
  for (const table of tables)
    t.strictSame(await database.rows({ name: `test.left.${table}`, text: `select * from ${table}` }), [], table)

  t.equal((await stranger.post('/organization/', { name: 'acme' })).status, 201)
  t.equal(await pullAs(url, ['stranger', password], 'acme/app'), 404, 'what was there does not come back')
  t.equal(await pushAs(url, ['stranger', password], 'acme/app'), 201)
  t.equal(await pullAs(url, login, 'acme/app'), 403, 'who had a right there has none any more')
})

t.test('to delete an organization, a browser must have shown the password lately', async t => {
  const registry = await startWithAccounts(t, { accounts: { sessions: { freshlogin: '1ms' } } })
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  t.match(await owner.delete('/organization/acme'), { status: 401, body: { error_type: 'fresh_login_required' } })
  const token = withToken(registry.url, await tokenFor(registry, 'owner', ['org:admin']))
  t.equal((await token.delete('/organization/acme')).status, 204)
})

t.test('a session that has ended, or was never one, is no one', async t => {
  const registry = await startWithAccounts(t)
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  const again = await signIn(registry.url, { username: 'owner', password })
  await owner.post('/signout')
  t.equal((await again.put('/organization/acme', {})).status, 401)
})

/** Has an owner invite a user to a team, and the user accept. */
async function join(
  owner: Awaited<ReturnType<typeof makeSession>>,
  user: Awaited<ReturnType<typeof makeSession>>,
  organization: string,
  team: string,
  name: string,
): Promise<void> {
  await owner.put(`/organization/${organization}/team/${team}/members/${name}`)
  const { body } = await user.get('/user/notifications')
  await user.put(`/teaminvite/${String(field(body, 'notifications', 0, 'metadata', 'code'))}`)
}
