import t from 'tap'
import { field } from '../../helpers/accounts.ts'
import { expecting, loginOf, newRepository, pull, startWorld, statusesOf } from './world.ts'

const app = '/repository/team/app'
const users = `${app}/permissions/user`
const teams = `${app}/permissions/team`

t.test('users and robots are given roles, which count at once, and lose them', async t => {
  const { clients, url, robot } = await startWorld(t)
  const { owner } = clients
  const list = await owner.get(`${users}/`)
  t.equal(list.status, 200)
  t.strictSame(Object.keys(field(list.body, 'permissions') as object), ['owner', 'reader', 'team+puller', 'writer'])
  t.match(field(list.body, 'permissions', 'writer'), {
    role: 'write',
    name: 'writer',
    is_robot: false,
    is_org_member: false,
    avatar: { name: 'writer', kind: 'user' },
  })
  t.match(field(list.body, 'permissions', 'owner'), { role: 'admin', is_org_member: true })
  t.match(field(list.body, 'permissions', 'team+puller'), { role: 'read', is_robot: true, is_org_member: true })

  const given = await owner.put(`${users}/stranger`, { role: 'read' })
  t.equal(given.status, 200)
  t.match(given.body, { role: 'read', name: 'stranger', is_robot: false })
  t.equal(await pull(url, loginOf('stranger'), 'team/app/manifests/latest'), 200)
  t.match((await owner.put(`${users}/stranger`, { role: 'admin' })).body, { role: 'admin' })
  t.match((await owner.get(`${users}/stranger`)).body, { role: 'admin' })
  t.equal((await clients.stranger.get(`${users}/stranger`)).status, 200, 'it counts at once')
  t.equal((await owner.delete(`${users}/stranger`)).status, 204)
  t.equal(await pull(url, loginOf('stranger'), 'team/app/manifests/latest'), 403)

  t.equal(await pull(url, robot, 'team/app/manifests/latest'), 200)
  t.equal((await owner.delete(`${users}/team+puller`)).status, 204)
  t.equal(await pull(url, robot, 'team/app/manifests/latest'), 403)
})

t.test(
  'a permission for no one, for a robot of elsewhere, for the owner, or none at all, is refused with a sentence',
  async t => {
    const { clients } = await startWorld(t)
    const { owner, writer } = clients
    await expecting(201, writer.put('/user/robots/own', { description: '' }))
    const refusals: [string, Promise<{ status: number; body: unknown }>, string][] = [
      ['no one', owner.put(`${users}/missing`, { role: 'read' }), 'Invalid username: missing'],
      ['a NUL', owner.put(`${users}/a%00b`, { role: 'read' }), 'Invalid username: a\0b'],
      [
        'elsewhere',
        owner.put(`${users}/writer+own`, { role: 'read' }),
        'Cannot add robot writer+own under namespace team',
      ],
      ['a team', owner.put(`${teams}/missing`, { role: 'read' }), 'No team missing in organization team'],
      ['has none', owner.get(`${users}/stranger`), 'User does not have permission for repo.'],
      ['nor to take', owner.delete(`${users}/stranger`), 'User does not have permission for repo.'],
      ['team has none', owner.get(`${teams}/owners`), 'Team does not have permission for repo.'],
      ['nor to take', owner.delete(`${teams}/owners`), 'Team does not have permission for repo.'],
    ]
    for (const [what, asked, message] of refusals)
      t.match(await asked, { status: 400, body: { error_type: 'invalid_request', error_message: message } }, what)
    t.equal((await owner.put(`${users}/writer`, { role: 'king' })).status, 400)
    t.equal((await owner.put(`${users}/writer`, {})).status, 400)

    await expecting(201, writer.post('/repository', { ...newRepository, repository: 'mine' }))
    const mine = '/repository/writer/mine/permissions'
    const message = 'Namespace owner must always be admin.'
    t.match(await writer.put(`${mine}/user/writer`, { role: 'read' }), {
      status: 400,
      body: { error_message: message },
    })
    t.match(await writer.delete(`${mine}/user/writer`), { status: 400, body: { error_message: message } })
    t.match(await writer.put(`${mine}/team/owners`, { role: 'read' }), {
      status: 400,
      body: { error_message: 'No team owners in organization writer' },
    })
    const given = await expecting(200, writer.put(`${mine}/user/reader`, { role: 'read' }))
    t.equal(field(given.body, 'is_org_member'), undefined, 'it is no organization')
  },
)

t.test(
  'a team of the organization is given a role, which its members have; one of another organization is none',
  async t => {
    const { clients, url } = await startWorld(t)
    const { owner, stranger } = clients
    await expecting(200, owner.put('/organization/team/team/pullers', { role: 'member' }))
    await expecting(201, stranger.post('/organization/', { name: 'others', email: 'others@example.com' }))
    await expecting(200, stranger.put('/organization/others/team/strangers', { role: 'member' }))
    t.equal((await owner.put(`${teams}/strangers`, { role: 'read' })).status, 400)

    t.match((await owner.put(`${teams}/pullers`, { role: 'write' })).body, {
      role: 'write',
      name: 'pullers',
      avatar: { name: 'pullers', kind: 'team' },
    })
    t.match((await owner.get(`${teams}/`)).body, { permissions: { pullers: { role: 'write', name: 'pullers' } } })
    t.strictSame((await owner.get(`${teams}/pullers`)).body, { role: 'write' })
    await expecting(200, owner.put('/organization/team/team/pullers/members/team+puller'))
    t.strictSame((await owner.get(`${users}/team+puller/transitive`)).body, {
      permissions: [{ role: 'read' }, { role: 'write' }],
    })
    t.strictSame((await owner.get(`${users}/writer/transitive`)).body, { permissions: [{ role: 'write' }] })
    t.equal((await owner.get(`${users}/stranger/transitive`)).status, 404)
    t.equal((await owner.get(`${users}/missing/transitive`)).status, 404)
    t.equal((await owner.delete(`${teams}/pullers`)).status, 204)
    t.strictSame((await owner.get(`${teams}/`)).body, { permissions: {} })
    t.equal(await pull(url, loginOf('stranger'), 'team/app/manifests/latest'), 403)
  },
)

t.test('permissions are their admins’ alone', async t => {
  const { clients } = await startWorld(t)
  const reads = { owner: 200, writer: 403, reader: 403, stranger: 403, superuser: 403, auditor: 200, nobody: 401 }
  for (const path of [users, `${users}/writer`, `${users}/writer/transitive`, teams])
    t.strictSame(await statusesOf(clients, client => client.get(path)), reads, path)
  const changes = { ...reads, auditor: 403 }
  const gives = await statusesOf(clients, client => client.put(`${users}/writer`, { role: 'write' }))
  t.strictSame(gives, changes)
  const takes = await statusesOf({ ...clients, owner: clients.writer }, client => client.delete(`${users}/writer`))
  t.strictSame(takes, { ...changes, owner: 403 })
})

t.test('a long list of permissions comes in pages', async t => {
  const { clients, database } = await startWorld(t)
  await database.change({
    name: 'many_users',
    text: `with namespace as (
             insert into namespaces (name, kind) select 'user' || lpad(n::text, 4, '0'), 'user' from generate_series(1, 1100) as n
             returning id, name
           ), account as (
             insert into accounts (kind, name, namespace_id) select 'user', name, id from namespace returning id
           )
           insert into repository_permissions (repository_id, account_id, role)
           select r.id, account.id, 'read' from account, repositories r where r.name = 'team/app'`,
  })
  const first = await clients.owner.get(users)
  const names = Object.keys(field(first.body, 'permissions') as object)
  t.equal(names.length, 1000)
  const next = await clients.owner.get(`${users}?next_page=${String(field(first.body, 'next_page'))}`)
  const more = Object.keys(field(next.body, 'permissions') as object)
  t.equal(new Set([...names, ...more]).size, 1104)
  t.equal(field(next.body, 'next_page'), undefined)
})
