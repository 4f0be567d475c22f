import t from 'tap'
import {
  type AccountsRegistry,
  type ApiClient,
  createClient,
  field,
  makeSession,
  makeUser,
  password,
  startWithAccounts,
} from '../../helpers/accounts.ts'
import { pullAs, pushAs } from '../../helpers/docker.ts'

interface Acme {
  registry: AccountsRegistry
  url: string
  owner: ApiClient
}

/** A registry with the organization `acme` of the user `owner`. */
async function startAcme(t: Parameters<typeof startWithAccounts>[0], accounts = {}): Promise<Acme> {
  const registry = await startWithAccounts(t, { accounts })
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  return { registry, url: registry.url, owner }
}

/** The code of the newest invitation of a user. */
async function codeOf(user: ApiClient): Promise<string> {
  const { body } = await user.get('/user/notifications')
  return String(field(body, 'notifications', 0, 'metadata', 'code'))
}

/** A session of a new user who is in a team of acme. */
async function makeMember({ registry, owner }: Acme, name: string, team: string): Promise<ApiClient> {
  const user = await makeSession(registry, name)
  await owner.put(`/organization/acme/team/${team}/members/${name}`)
  await user.put(`/teaminvite/${await codeOf(user)}`)
  return user
}

t.test('admins make teams, change them and delete them', async t => {
  const { owner } = await startAcme(t)
  const team = '/organization/acme/team/readers'
  const made = await owner.put(team, { role: 'member', description: 'read only' })
  t.equal(made.status, 200)
  t.match(made.body, {
    name: 'readers',
    description: 'read only',
    can_view: true,
    role: 'member',
    avatar: { name: 'readers', kind: 'team' },
    new_team: true,
  })
  t.match((await owner.put(team, { role: 'creator' })).body, {
    role: 'creator',
    description: 'read only',
    new_team: false,
  })
  t.match((await owner.put(team, { role: 'creator', description: '' })).body, { description: '', new_team: false })
  t.equal((await owner.delete(team)).status, 204)
  t.match(await owner.delete(team), { status: 400, body: { error_type: 'invalid_request' } })
  t.equal((await owner.get(`${team}/members`)).status, 404)
  t.equal((await owner.get(`${team}/permissions`)).status, 404)

  t.equal((await owner.put('/organization/acme/team/Readers', { role: 'member' })).status, 400)
  t.equal((await owner.put('/organization/acme/team/a', { role: 'member' })).status, 400)
  t.equal((await owner.put('/organization/acme/team/a%00b', { role: 'member' })).status, 400)
  t.equal((await owner.put('/organization/acme/team/2fast', { role: 'member' })).status, 200)
  for (const body of [
    {},
    { role: 'king' },
    { role: 'member', description: 'a\0b' },
    { role: 'member', description: 'x'.repeat(5000) },
  ])
    t.equal((await owner.put(team, body)).status, 400, JSON.stringify(body).slice(0, 50))
})

t.test('who is no admin of the organization changes no team, and learns nothing of it', async t => {
  const acme = await startAcme(t, { readonlysuperusers: ['watcher'] })
  const { registry, url, owner } = acme
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  const maker = await makeMember(acme, 'maker', 'makers')
  const watcher = await makeSession(registry, 'watcher')
  const stranger = await makeSession(registry, 'stranger')
  const team = '/organization/acme/team/owners'
  const nowhere = '/organization/nowhere/team/owners'

  for (const client of [maker, watcher, stranger, registry.admin]) {
    t.equal((await client.put('/organization/acme/team/new', { role: 'admin' })).status, 403)
    t.equal((await client.put(`${team}/members/stranger`)).status, 403)
    t.equal((await client.delete(`${team}/members/owner`)).status, 403)
    t.equal((await client.delete('/organization/acme/team/makers')).status, 403)
  }
  for (const client of [stranger, registry.admin])
    for (const path of ['', '/members', '/permissions'].slice(1)) {
      const known = await client.get(team + path)
      const unknown = await client.get(nowhere + path)
      t.equal(known.status, 403)
      t.strictSame(known.body, unknown.body, 'the same for an organization that is not there')
    }
  t.equal((await createClient(url).get(`${team}/members`)).status, 401)
  t.equal((await createClient(url).put('/organization/acme/team/new', { role: 'admin' })).status, 401)

  t.equal((await watcher.get(`${team}/members`)).status, 200, 'a read-only superuser sees all')
  t.match((await watcher.get(`${team}/members`)).body, { can_edit: false })
  t.equal((await watcher.get(`${team}/permissions`)).status, 200)

  t.match(await maker.get('/organization/acme/team/makers/members'), { status: 200, body: { can_edit: false } })
  t.equal((await maker.get(`${team}/members`)).status, 403, 'a member does not see the other teams')
  t.equal((await maker.get('/organization/acme/team/none/members')).status, 403, 'nor whether they are there')
  t.equal((await maker.get('/organization/acme/team/makers/permissions')).status, 403)
})

t.test('a user who is no member is asked first, and answers', async t => {
  const acme = await startAcme(t)
  const { registry, url, owner } = acme
  const guest = await makeSession(registry, 'guest')
  const other = await makeSession(registry, 'other')
  await owner.put('/organization/acme/team/readers', { role: 'member' })
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  const members = '/organization/acme/team/readers/members'

  const invited = await owner.put(`${members}/guest`)
  t.equal(invited.status, 200)
  t.match(invited.body, { name: 'guest', kind: 'user', is_robot: false, avatar: { kind: 'user' }, invited: true })
  t.match((await owner.put(`${members}/guest`)).body, { invited: true }, 'to ask again changes nothing')
  t.match((await guest.get('/organization/acme')).body, { is_member: false })
  t.strictSame(field((await owner.get(members)).body, 'members'), [])
  t.match((await owner.get(`${members}?includePending=true`)).body, {
    name: 'readers',
    can_edit: true,
    members: [{ name: 'guest', invited: true }],
  })

  const waiting = await guest.get('/user/notifications')
  t.match(waiting.body, {
    additional: false,
    notifications: [
      {
        kind: 'org_team_invite',
        organization: null,
        created: / -0000$/,
        metadata: { inviter: 'owner', org: 'acme', team: 'readers' },
        dismissed: false,
      },
    ],
  })
  t.strictSame((await other.get('/user/notifications')).body, { notifications: [], additional: false })
  t.equal((await createClient(url).get('/user/notifications')).status, 401)

  const code = await codeOf(guest)
  const refused = await other.put(`/teaminvite/${code}`)
  t.equal(refused.status, 400)
  t.strictSame(field((await other.put('/teaminvite/none')).body, 'error_message'), field(refused.body, 'error_message'))
  t.equal((await other.delete(`/teaminvite/${code}`)).status, 400)
  t.equal((await createClient(url).put(`/teaminvite/${code}`)).status, 401)

  t.equal((await guest.delete(`/teaminvite/${code}`)).status, 204)
  t.equal((await guest.put(`/teaminvite/${code}`)).status, 400, 'what was declined is over')

  await owner.put(`${members}/guest`)
  await owner.put('/organization/acme/team/makers/members/guest')
  t.match((await guest.get('/user/notifications?limit=1')).body, { notifications: [{}], additional: true })
  t.match((await guest.get('/user/notifications?limit=1&page=1')).body, { notifications: [{}], additional: false })
  const joined = await guest.put(`/teaminvite/${await codeOf(guest)}`)
  t.match(joined, { status: 200, body: { org: 'acme', team: 'makers' } })
  t.match(
    (await owner.get(members)).body,
    { members: [{ name: 'guest', invited: false }] },
    'all that was asked is answered',
  )
  t.strictSame(field((await guest.get('/user/notifications')).body, 'notifications'), [])
  t.match((await guest.get('/organization/acme')).body, { is_member: true })

  await owner.put('/organization/acme/team/third', { role: 'member' })
  t.match(
    (await owner.put('/organization/acme/team/third/members/guest')).body,
    { invited: false },
    'members are added',
  )
  t.match(await owner.put('/organization/acme/team/third/members/guest'), {
    status: 400,
    body: { error_message: 'User guest is already a member of team third' },
  })
})

t.test('an invitation can be taken back', async t => {
  const { registry, owner } = await startAcme(t)
  const guest = await makeSession(registry, 'guest')
  const member = '/organization/acme/team/owners/members/guest'
  await owner.put(member)
  const code = await codeOf(guest)
  t.equal((await owner.delete(member)).status, 204)
  t.equal((await guest.put(`/teaminvite/${code}`)).status, 400)
  t.match(await owner.delete(member), {
    status: 400,
    body: { error_message: 'User guest does not belong to team owners' },
  })
  t.equal((await owner.delete('/organization/acme/team/owners/members/nobody')).status, 404)
  t.equal((await owner.delete('/organization/acme/team/none/members/guest')).status, 404)
})

t.test('robots of the organization are added at once, and no others', async t => {
  const { registry, owner } = await startAcme(t)
  const other = await makeSession(registry, 'other')
  await other.put('/user/robots/bot')
  await owner.put('/organization/acme/robots/bot')
  const members = '/organization/acme/team/owners/members'
  t.match(await owner.put(`${members}/acme+bot`), {
    status: 200,
    body: { name: 'acme+bot', is_robot: true, invited: false },
  })
  t.match((await owner.get(members)).body, {
    members: [{ name: 'acme+bot', is_robot: true, avatar: { kind: 'robot' } }, { name: 'owner' }],
  })

  const theirs = await owner.put(`${members}/other+bot`)
  t.equal(theirs.status, 400)
  t.strictSame(theirs.body, (await owner.put(`${members}/other+none`)).body, 'the same for one that is not there')
  t.match(await owner.put(`${members}/acme+none`), { status: 400, body: { error_message: 'Unknown user' } })
  t.match(await owner.put(`${members}/nobody`), { status: 400, body: { error_message: 'Unknown user' } })
  t.equal((await owner.put(`${members}/a%00b`)).status, 400)
})

t.test('an organization keeps an admin, who is a user', async t => {
  const acme = await startAcme(t)
  const { owner } = acme
  await owner.put('/organization/acme/robots/bot')
  await owner.put('/organization/acme/team/owners/members/acme+bot')
  await owner.put('/organization/acme/team/empty', { role: 'admin' })
  const refusals = [
    owner.delete('/organization/acme/team/owners'),
    owner.put('/organization/acme/team/owners', { role: 'creator' }),
    owner.delete('/organization/acme/team/owners/members/owner'),
    owner.delete('/organization/acme/members/owner'),
  ]
  for (const answer of await Promise.all(refusals)) t.equal(answer.status, 400)
  t.match((await owner.get('/organization/acme')).body, {
    is_admin: true,
    teams: { owners: { role: 'admin', member_count: 2 } },
  })

  const second = await makeMember(acme, 'second', 'empty')
  t.equal((await second.delete('/organization/acme/team/owners/members/owner')).status, 204)
  t.equal((await second.delete('/organization/acme/team/owners')).status, 204)
  t.equal((await owner.get('/organization/acme/team/empty/members')).status, 403)
})

t.test('of two admins who take each other out at once, one stays', async t => {
  const acme = await startAcme(t)
  const second = await makeMember(acme, 'second', 'owners')
  const answers = await Promise.all([
    acme.owner.delete('/organization/acme/team/owners/members/second'),
    second.delete('/organization/acme/team/owners/members/owner'),
  ])
  t.strictSame(answers.filter(({ status }) => status === 204).length, 1)
  const { body } = await (answers[0].status === 204 ? acme.owner : second).get('/organization/acme/team/owners/members')
  t.match(field(body, 'members', 'length'), 1)
})

t.test('what a team may do is done, by docker as well', async t => {
  const acme = await startAcme(t)
  const { registry, url, owner } = acme
  const { database } = registry
  t.equal(await pushAs(url, ['owner', password], 'acme/app'), 201)
  await owner.put('/organization/acme/team/readers', { role: 'member' })
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  await makeMember(acme, 'reader', 'readers')
  await makeMember(acme, 'maker', 'makers')
  await makeUser(registry, 'stranger')
  const [reader, maker, stranger] = [
    ['reader', password],
    ['maker', password],
    ['stranger', password],
  ] as const

  t.equal(await pullAs(url, reader, 'acme/app'), 403, 'a member may do nothing by that alone')
  t.equal(await pullAs(url, maker, 'acme/app'), 403)
  const grant = `insert into repository_permissions (repository_id, team_id, role)
                 select r.id, t.id, 'read' from repositories r, teams t where r.name = 'acme/app' and t.name = 'readers'`
  await database.change({ name: 'test.grant', text: grant })
  t.equal(await pullAs(url, reader, 'acme/app'), 200)
  t.equal(await pushAs(url, reader, 'acme/app'), 403)
  t.equal(await pullAs(url, maker, 'acme/app'), 403)
  t.strictSame((await owner.get('/organization/acme/team/readers/permissions')).body, {
    permissions: [{ repository: { name: 'app', is_public: false }, role: 'read' }],
  })
  t.match((await owner.get('/organization/acme')).body, {
    teams: { readers: { repo_count: 1 }, makers: { repo_count: 0 } },
  })

  t.equal(await pushAs(url, maker, 'acme/made'), 201, 'a creator makes repositories')
  t.equal(await pushAs(url, reader, 'acme/other'), 403)
  t.equal(await pushAs(url, stranger, 'acme/other'), 403)
  t.equal(await pullAs(url, reader, 'acme/made'), 403)

  await owner.put('/organization/acme/team/readers', { role: 'admin' })
  t.equal(await pullAs(url, reader, 'acme/made'), 200, 'an admin has every repository')
  t.equal(await pushAs(url, reader, 'acme/app'), 201)
  await owner.delete('/organization/acme/team/readers/members/reader')
  t.equal(await pullAs(url, reader, 'acme/app'), 403, 'and who is out of the team, none at once')
  await owner.delete('/organization/acme/team/makers')
  t.equal(await pushAs(url, maker, 'acme/another'), 403)
  t.equal(await pullAs(url, maker, 'acme/made'), 200, 'who made a repository stays its admin')
})

t.test('admins see who belongs to the organization, and take them out', async t => {
  const acme = await startAcme(t, { readonlysuperusers: ['watcher'] })
  const { registry, url, owner } = acme
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  await owner.put('/organization/acme/robots/bot')
  await owner.put('/organization/acme/team/makers/members/acme+bot')
  const maker = await makeMember(acme, 'maker', 'makers')
  const left = await makeMember(acme, 'left', 'makers')
  const stranger = await makeSession(registry, 'stranger')
  t.equal(await pushAs(url, ['maker', password], 'acme/deep/made'), 201)
  t.equal(await pushAs(url, ['left', password], 'acme/old'), 201)
  await owner.delete('/organization/acme/team/makers/members/left')

  t.match((await owner.get('/organization/acme/members')).body, {
    members: [
      {
        name: 'maker',
        kind: 'user',
        avatar: { kind: 'user' },
        teams: [{ name: 'makers', avatar: { kind: 'team' } }],
        repositories: ['deep/made'],
      },
      { name: 'owner', teams: [{ name: 'owners' }], repositories: [] },
    ],
  })
  t.strictSame(field((await owner.get('/organization/acme/members')).body, 'members', 'length'), 2)
  t.match((await owner.get('/organization/acme/collaborators')).body, {
    collaborators: [{ name: 'left', kind: 'user', avatar: { kind: 'user' }, repositories: ['old'] }],
  })
  t.match((await owner.get('/organization/acme/members/maker')).body, { name: 'maker', repositories: ['deep/made'] })
  t.match((await owner.get('/organization/acme/members/acme+bot')).body, { kind: 'robot', teams: [{ name: 'makers' }] })
  for (const name of ['left', 'stranger', 'nobody', 'other+bot', 'a%00b'])
    t.equal((await owner.get(`/organization/acme/members/${name}`)).status, 404, name)

  const watcher = await makeSession(registry, 'watcher')
  for (const path of ['/members', '/collaborators', '/members/maker']) {
    t.equal((await watcher.get(`/organization/acme${path}`)).status, 200)
    for (const client of [maker, left, stranger, registry.admin])
      t.equal((await client.get(`/organization/acme${path}`)).status, 403)
    t.equal((await createClient(url).get(`/organization/acme${path}`)).status, 401)
  }
  for (const client of [maker, stranger, watcher])
    t.equal((await client.delete('/organization/acme/members/maker')).status, 403)

  t.equal((await owner.delete('/organization/acme/members/maker')).status, 204)
  t.equal(await pullAs(url, ['maker', password], 'acme/deep/made'), 403)
  t.equal((await owner.get('/organization/acme/members/maker')).status, 404)
  t.equal((await owner.delete('/organization/acme/members/left')).status, 204, 'collaborators too')
  t.equal(await pullAs(url, ['left', password], 'acme/old'), 403)
  for (const name of ['nobody', 'acme+bot'])
    t.equal((await owner.delete(`/organization/acme/members/${name}`)).status, 404)
})

t.test('without invitations a user is a member of a team at once', async t => {
  const { registry, owner } = await startAcme(t, { teaminvites: false })
  await makeUser(registry, 'guest')
  await owner.put('/organization/acme/team/readers', { role: 'member' })
  const members = '/organization/acme/team/readers/members'
  t.match(await owner.put(`${members}/guest`), { status: 200, body: { name: 'guest', invited: false } })
  t.match((await owner.get(members)).body, { members: [{ name: 'guest', invited: false }] })
})
