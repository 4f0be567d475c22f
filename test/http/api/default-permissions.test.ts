import t from 'tap'
import { createClient, field, makeSession, makeUser, password, startWithAccounts } from '../../helpers/accounts.ts'
import { pullAs, pushAs } from '../../helpers/docker.ts'

const prototypes = '/organization/acme/prototypes'

t.test('admins say what new repositories begin with', async t => {
  const registry = await startWithAccounts(t, { accounts: { readonlysuperusers: ['watcher'] } })
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  const stranger = await makeSession(registry, 'stranger')
  await stranger.put('/user/robots/bot')
  await owner.post('/organization/', { name: 'acme' })
  await owner.put('/organization/acme/team/readers', { role: 'member' })
  await owner.put('/organization/acme/robots/bot')

  t.strictSame((await owner.get(prototypes)).body, { prototypes: [] })
  const forTeam = await owner.post(prototypes, { role: 'read', delegate: { kind: 'team', name: 'readers' } })
  t.equal(forTeam.status, 200)
  t.match(forTeam.body, {
    activating_user: null,
    delegate: { name: 'readers', kind: 'team', avatar: { kind: 'team' } },
    role: 'read',
    id: /^[0-9a-f-]{36}$/,
  })
  const forRobot = await owner.post(prototypes, {
    role: 'write',
    activating_user: { name: 'owner' },
    delegate: { kind: 'user', name: 'acme+bot' },
  })
  t.match(forRobot.body, {
    activating_user: { name: 'owner', kind: 'user', is_robot: false, is_org_member: true, avatar: { kind: 'user' } },
    delegate: { name: 'acme+bot', kind: 'user', is_robot: true, is_org_member: true, avatar: { kind: 'robot' } },
    role: 'write',
  })
  const forUser = await owner.post(prototypes, {
    role: 'admin',
    activating_user: null,
    delegate: { kind: 'user', name: 'stranger' },
  })
  t.match(forUser.body, {
    activating_user: null,
    delegate: { name: 'stranger', is_robot: false, is_org_member: false },
  })

  const listed = field((await owner.get(prototypes)).body, 'prototypes')
  t.same(new Set(Array.isArray(listed) ? listed : []), new Set([forTeam.body, forRobot.body, forUser.body]))

  const id = String(field(forTeam.body, 'id'))
  t.match(await owner.put(`${prototypes}/${id}`, { role: 'write' }), { status: 200, body: { id, role: 'write' } })
  t.equal((await owner.delete(`${prototypes}/${id}`)).status, 204)
  for (const gone of [id, 'none', '00000000-0000-0000-0000-000000000000']) {
    t.equal((await owner.put(`${prototypes}/${gone}`, { role: 'read' })).status, 404)
    t.equal((await owner.delete(`${prototypes}/${gone}`)).status, 404)
  }

  const delegate = { kind: 'team', name: 'readers' }
  const refusals = [
    [{ role: 'read', delegate: { kind: 'team', name: 'none' } }, 'Missing delegate user or team'],
    [{ role: 'read', delegate: { kind: 'user', name: 'none' } }, 'Missing delegate user or team'],
    [{ role: 'read', delegate: { kind: 'user', name: 'stranger+bot' } }, 'Missing delegate user or team'],
    [{ role: 'read', activating_user: { name: 'none' }, delegate }, 'Unknown activating user'],
    [{ role: 'king', delegate }, undefined],
    [{ role: 'read', delegate: { kind: 'org', name: 'acme' } }, undefined],
    [{ role: 'read' }, undefined],
  ] as const
  for (const [wish, message] of refusals) {
    const answer = await owner.post(prototypes, wish)
    t.equal(answer.status, 400, JSON.stringify(wish))
    if (message !== undefined) t.equal(field(answer.body, 'error_message'), message)
  }

  const other = String(field(forUser.body, 'id'))
  await stranger.post('/organization/', { name: 'other' })
  t.equal((await stranger.delete(`/organization/other/prototypes/${other}`)).status, 404, 'not of another organization')
  const watcher = await makeSession(registry, 'watcher')
  t.equal((await watcher.get(prototypes)).status, 200)
  for (const client of [watcher, stranger, registry.admin]) {
    if (client !== watcher) t.equal((await client.get(prototypes)).status, 403)
    t.equal((await client.post(prototypes, { role: 'read', delegate })).status, 403)
    t.equal((await client.put(`${prototypes}/${other}`, { role: 'read' })).status, 403)
    t.equal((await client.delete(`${prototypes}/${other}`)).status, 403)
  }
  for (const ask of [createClient(url).get(prototypes), createClient(url).post(prototypes, {})])
    t.equal((await ask).status, 401)
})

t.test('a repository that is made begins with the default permissions', async t => {
  const registry = await startWithAccounts(t)
  const { url } = registry
  const owner = await makeSession(registry, 'owner')
  await makeUser(registry, 'reader')
  const maker = await makeSession(registry, 'maker')
  await owner.post('/organization/', { name: 'acme' })
  await owner.put('/organization/acme/team/makers', { role: 'creator' })
  await owner.put('/organization/acme/team/makers/members/maker')
  const { body } = await maker.get('/user/notifications')
  await maker.put(`/teaminvite/${String(field(body, 'notifications', 0, 'id'))}`)
  const robot = (await owner.put('/organization/acme/robots/bot')).body
  const bot = ['acme+bot', String(field(robot, 'token'))] as const
  const [reader, asOwner, asMaker] = [
    ['reader', password],
    ['owner', password],
    ['maker', password],
  ] as const

  t.equal(await pushAs(url, asOwner, 'acme/before'), 201)
  await owner.post(prototypes, { role: 'read', delegate: { kind: 'user', name: 'reader' } })
  await owner.post(prototypes, {
    role: 'write',
    activating_user: { name: 'maker' },
    delegate: { kind: 'user', name: 'acme+bot' },
  })
  await owner.post(prototypes, { role: 'read', delegate: { kind: 'user', name: 'acme+bot' } })
  await owner.post(prototypes, { role: 'read', delegate: { kind: 'user', name: 'maker' } })

  t.equal(await pushAs(url, asOwner, 'acme/by-owner'), 201)
  t.equal(await pushAs(url, asMaker, 'acme/by-maker'), 201)
  t.equal(await pullAs(url, reader, 'acme/before'), 403, 'not one that was there')
  t.equal(await pullAs(url, reader, 'acme/by-owner'), 200)
  t.equal(await pushAs(url, reader, 'acme/by-owner'), 403)
  t.equal(await pushAs(url, bot, 'acme/by-owner'), 403)
  t.equal(await pullAs(url, bot, 'acme/by-owner'), 200)
  t.equal(await pushAs(url, bot, 'acme/by-maker'), 201)
  t.equal(await pullAs(url, asMaker, 'acme/by-owner'), 200)
  t.equal(await pushAs(url, asMaker, 'acme/by-maker'), 201, 'who makes it is its admin, whatever else is said')

  const made = await owner.post('/repository', {
    namespace: 'acme',
    repository: 'by-api',
    visibility: 'private',
    description: '',
    repo_kind: 'image',
  })
  t.equal(made.status, 201)
  t.equal(await pullAs(url, reader, 'acme/by-api'), 404, 'may read it, and there is nothing in it')
  t.equal(await pushAs(url, reader, 'acme/by-api'), 403)

  t.match((await owner.get('/organization/acme/collaborators')).body, {
    collaborators: [{ name: 'reader', repositories: ['by-api', 'by-maker', 'by-owner'] }],
  })
  await owner.delete('/organization/acme/members/reader')
  t.equal(await pushAs(url, asOwner, 'acme/after'), 201)
  t.equal(await pullAs(url, reader, 'acme/after'), 403, 'who was taken out gets nothing new')
})
