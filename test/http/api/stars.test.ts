import t from 'tap'
import { field } from '../../helpers/accounts.ts'
import { expecting, newRepository, startWorld } from './world.ts'

t.test('a repository is starred, listed and let go of, by each user for itself', async t => {
  const { clients } = await startWorld(t)
  const { reader, writer, nobody } = clients
  const app = { namespace: 'team', repository: 'app' }
  const starred = await reader.post('/user/starred', app)
  t.equal(starred.status, 201)
  t.strictSame(starred.body, app)
  t.equal((await reader.post('/user/starred', app)).status, 201, 'again')
  const expected = { repositories: [{ namespace: 'team', name: 'app', description: '', is_public: false }] }
  t.strictSame((await reader.get('/user/starred')).body, expected)
  t.strictSame((await reader.get('/user/starred/')).body, expected)
  t.match((await reader.get('/repository/team/app')).body, { is_starred: true })
  t.match((await reader.get('/repository?starred=true')).body, { repositories: [{ name: 'app', is_starred: true }] })
  t.strictSame((await writer.get('/user/starred')).body, { repositories: [] })
  t.match((await writer.get('/repository/team/app')).body, { is_starred: false })

  t.equal((await writer.delete('/user/starred/team/app')).status, 204)
  t.equal((await reader.delete('/user/starred/team/app')).status, 204)
  t.equal((await reader.delete('/user/starred/team/app')).status, 204)
  t.strictSame((await reader.get('/user/starred')).body, { repositories: [] })
  t.equal((await nobody.get('/user/starred')).status, 401)
  t.equal((await nobody.post('/user/starred', app)).status, 401)
  t.equal((await nobody.delete('/user/starred/team/app')).status, 401)
})

t.test(
  'what one may not read is starred as little as what is not there, and vanishes from the list with the right',
  async t => {
    const { clients } = await startWorld(t)
    const { stranger, reader, owner } = clients
    const star = (repository: string) => stranger.post('/user/starred', { namespace: 'team', repository })
    const [existing, missing] = [await star('app'), await star('missing')]
    t.equal(existing.status, 404)
    t.strictSame(existing.body, missing.body)
    t.equal((await star('')).status, 404)
    await expecting(201, reader.post('/user/starred', { namespace: 'team', repository: 'app' }))
    await expecting(204, owner.delete('/repository/team/app/permissions/user/reader'))
    t.strictSame((await reader.get('/user/starred')).body, { repositories: [] })
    t.strictSame((await reader.get('/repository?starred=true')).body, { repositories: [] })
    await expecting(200, owner.post('/repository/team/app/changevisibility', { visibility: 'public' }))
    t.match((await reader.get('/user/starred')).body, { repositories: [{ name: 'app', is_public: true }] })
  },
)

t.test('names with slashes are starred and unstarred, and many come in pages', async t => {
  const { clients, database } = await startWorld(t)
  const { owner } = clients
  await expecting(201, owner.post('/repository', { ...newRepository, namespace: 'team', repository: 'a/b/tag' }))
  await expecting(201, owner.post('/user/starred', { namespace: 'team', repository: 'a/b/tag' }))
  t.match((await owner.get('/user/starred')).body, { repositories: [{ namespace: 'team', name: 'a/b/tag' }] })
  await expecting(204, owner.delete('/user/starred/team/a/b/tag'))
  await database.change({
    name: 'many_stars',
    text: `with made as (
             insert into repositories (namespace_id, name)
             select id, 'team/r' || lpad(n::text, 3, '0') from namespaces, generate_series(1, 150) as n where name = 'team'
             returning id
           )
           insert into stars (account_id, repository_id) select a.id, made.id from made, accounts a where a.name = 'owner'`,
  })
  const first = await owner.get('/user/starred')
  t.equal((field(first.body, 'repositories') as unknown[]).length, 100)
  const next = await owner.get(`/user/starred?next_page=${String(field(first.body, 'next_page'))}`)
  t.equal((field(next.body, 'repositories') as unknown[]).length, 50)
  t.equal(field(next.body, 'next_page'), undefined)
})
