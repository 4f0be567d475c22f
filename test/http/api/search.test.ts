import t from 'tap'
import { type ApiClient, field } from '../../helpers/accounts.ts'
import { expecting, newRepository, rowsOf, startWorld } from './world.ts'

/** Each result as `kind name`. */
async function found(client: ApiClient, path: string): Promise<string[]> {
  const { body } = await expecting(200, client.get(path))
  return rowsOf(body, 'results', 'kind', 'name')
}

t.test('repositories are found by a part of their names, by those who may see them', async t => {
  const { clients } = await startWorld(t)
  const { owner, reader, stranger, superuser, auditor, nobody } = clients
  for (const [repository, visibility] of [
    ['application', 'public'],
    ['my_app', 'private'],
    ['deep/app', 'public'],
  ] as const)
    await expecting(201, owner.post('/repository', { ...newRepository, namespace: 'team', repository, visibility }))
  const path = '/find/repositories?query=app'
  const open = ['repository deep/app', 'repository application']
  t.strictSame(await found(nobody, path), open)
  t.strictSame(await found(stranger, path), open)
  t.strictSame(await found(superuser, path), open)
  t.strictSame(await found(reader, path), ['repository app', ...open])
  t.strictSame(await found(owner, path), ['repository app', ...open, 'repository my_app'])
  t.strictSame(await found(auditor, path), ['repository app', ...open, 'repository my_app'])
  t.strictSame(await found(owner, '/find/repositories?query=y_A'), ['repository my_app'])
  t.strictSame(await found(owner, '/find/repositories?query=%25'), [], 'a character is only itself')
  t.strictSame(await found(owner, '/find/repositories?query=team/app'), ['repository app', 'repository application'])
  t.equal((await found(owner, '/find/repositories')).length, 4)
  t.equal((await owner.get('/find/repositories?query=a%00')).status, 400)

  await expecting(201, reader.post('/user/starred', { namespace: 'team', repository: 'app' }))
  const { body } = await reader.get('/find/repositories?query=app&includeUsage=true')
  t.match(body, { has_additional: false, page: 1, page_size: 10, start_index: 0 })
  t.match(field(body, 'results', 0), {
    kind: 'repository',
    title: 'repo',
    namespace: { title: 'org', kind: 'organization', name: 'team', href: '/organization/team', score: 1 },
    name: 'app',
    description: '',
    is_public: false,
    score: 4,
    href: '/repository/team/app',
    last_modified: Number,
    stars: 1,
  })
})

t.test('a search for repositories ends with its tenth page', async t => {
  const { clients, database } = await startWorld(t)
  await database.change({
    name: 'many_repositories',
    text: `insert into repositories (namespace_id, name, visibility)
           select id, 'team/r' || lpad(n::text, 3, '0'), 'public' from namespaces, generate_series(1, 130) as n where name = 'team'`,
  })
  const names = new Set<string>()
  for (let page = 1; page <= 10; page++) {
    const { body } = await clients.nobody.get(`/find/repositories?query=r&page=${page}`)
    t.match(body, { page, start_index: (page - 1) * 10, has_additional: true })
    for (const result of field(body, 'results') as unknown[]) names.add(String(field(result, 'name')))
  }
  t.equal(names.size, 100)
  t.match((await clients.nobody.get('/find/repositories?query=r&page=11')).body, { page: 10 })
})

t.test('everything is found that one may see, the nearest first', async t => {
  const { clients } = await startWorld(t)
  const { owner, reader, stranger, superuser, nobody } = clients
  await expecting(200, owner.put('/organization/team/team/teamsters', { role: 'member' }))
  const path = '/find/all?query=team'
  t.strictSame(await found(nobody, path), [])
  t.strictSame(await found(stranger, path), [])
  t.strictSame(await found(reader, path), ['repository app', 'organization team'])
  t.strictSame(await found(owner, path), ['repository app', 'team teamsters', 'organization team', 'robot team+puller'])
  t.strictSame(await found(superuser, '/find/all?query=str'), ['user stranger'])
  t.strictSame(await found(stranger, '/find/all?query=str'), ['user stranger'])
  t.strictSame(await found(reader, '/find/all?query=str'), [])
  t.strictSame(await found(owner, '/find/all?query='), [])
  const { body } = await owner.get('/find/all?query=puller')
  t.match(field(body, 'results'), [
    {
      kind: 'robot',
      title: 'robot',
      name: 'team+puller',
      short_name: 'puller',
      avatar: null,
      score: 1,
      href: '/organization/team?tab=robots&showRobot=team%2Bpuller',
    },
  ])
  t.match(field((await owner.get('/find/all?query=teamsters')).body, 'results'), [
    {
      kind: 'team',
      organization: { name: 'team' },
      avatar: { kind: 'team' },
      score: 2,
      href: '/organization/team/teams/teamsters',
    },
  ])
  await expecting(200, owner.post('/repository/team/app/changevisibility', { visibility: 'public' }))
  t.strictSame(await found(nobody, path), ['repository app', 'organization team'])
})

t.test('names are completed for who is signed in, robots and teams for members', async t => {
  const { clients, url } = await startWorld(t)
  const { owner, stranger, nobody } = clients
  const { status, body } = await owner.get('/entities/wri')
  t.equal(status, 200)
  t.match(body, { results: [{ name: 'writer', kind: 'user', is_robot: false, avatar: { name: 'writer' } }] })
  t.equal(field(body, 'results', 0, 'is_org_member'), undefined)
  t.match((await owner.get('/entities/o?namespace=team')).body, { results: [{ name: 'owner', is_org_member: true }] })
  t.match((await owner.get('/entities/W?namespace=team')).body, { results: [{ name: 'writer', is_org_member: false }] })
  t.match((await owner.get('/entities/pul?namespace=team')).body, {
    results: [{ name: 'team+puller', is_robot: true }],
  })
  t.strictSame(await found(stranger, '/entities/pul?namespace=team'), [])
  t.strictSame(await found(owner, '/entities/own?namespace=team&includeTeams=true'), ['team owners', 'user owner'])
  t.strictSame(await found(stranger, '/entities/own?namespace=team&includeTeams=true'), ['user owner'])
  t.strictSame(await found(owner, '/entities/te?namespace=team&includeOrgs=true'), ['org team'])
  t.strictSame(await found(owner, '/entities/%25'), [])
  t.equal((await nobody.get('/entities/wri')).status, 401)
  t.ok(url)
})
