import t from 'tap'
import { createClient, field, makeSession, startWithAccounts, tokenFor, withToken } from '../../helpers/accounts.ts'
import { image } from '../../helpers/images.ts'
import { expecting, loginOf, newRepository, pull, pushAs, rowsOf, startWorld, statusesOf } from './world.ts'

t.test('a repository is made by its namespace, shown, described, and named once only', async t => {
  const registry = await startWithAccounts(t)
  const owner = await makeSession(registry, 'owner')
  const stranger = await makeSession(registry, 'stranger')

  const made = await owner.post('/repository', { repository: 'app', visibility: 'private', description: 'An app' })
  t.equal(made.status, 201)
  t.strictSame(made.body, { namespace: 'owner', name: 'app', kind: 'image' })
  const again = await owner.post('/repository', { ...newRepository, repository: 'app', namespace: 'owner' })
  t.equal(again.status, 400)
  t.match(again.body, { error_type: 'invalid_request', error_message: 'Repository already exists' })

  const shown = await owner.get('/repository/owner/app')
  t.equal(shown.status, 200)
  t.strictSame(shown.body, {
    namespace: 'owner',
    name: 'app',
    kind: 'image',
    description: 'An app',
    is_public: false,
    is_organization: false,
    is_starred: false,
    status_token: '',
    trust_enabled: false,
    tag_expiration_s: 1209600,
    is_free_account: true,
    state: 'NORMAL',
    tags: {},
    can_write: true,
    can_admin: true,
  })
  t.equal(field((await owner.get('/repository/owner/app?includeTags=false')).body, 'tags'), undefined)

  t.strictSame((await owner.put('/repository/owner/app', { description: '# New' })).body, { success: true })
  t.match((await owner.get('/repository/owner/app/')).body, { description: '# New' })

  const nested = { ...newRepository, repository: 'a/b/c', namespace: 'owner', repo_kind: null }
  t.strictSame((await owner.post('/repository', nested)).body, { namespace: 'owner', name: 'a/b/c', kind: 'image' })
  t.match((await owner.get('/repository/owner/a/b/c')).body, { namespace: 'owner', name: 'a/b/c' })

  for (const [what, wish] of Object.entries({
    'a name with capitals': { ...newRepository, repository: 'App' },
    'a name with a NUL': { ...newRepository, repository: 'a\0b' },
    'no name': { ...newRepository, repository: '' },
    'a kind that there is not': { ...newRepository, repository: 'x', repo_kind: 'application' },
    'no visibility': { repository: 'x', description: '' },
    'a description with a NUL': { repository: 'x', visibility: 'public', description: 'a\0b' },
    'a description that is too long': { repository: 'x', visibility: 'public', description: 'x'.repeat(70_000) },
  })) {
    const refused = await owner.post('/repository', wish)
    t.equal(refused.status, 400, what)
    t.match(refused.body, { error_type: 'invalid_request' }, what)
  }
  t.equal((await stranger.post('/repository', { ...newRepository, repository: 'x', namespace: 'owner' })).status, 403)
  t.equal((await stranger.post('/repository', { ...newRepository, repository: 'x', namespace: 'nobody' })).status, 403)
  t.equal((await createClient(registry.url).post('/repository', { ...newRepository, repository: 'x' })).status, 401)
})

t.test('only creators and admins make repositories in an organization, with a token only if it says so', async t => {
  const { clients, url, ...registry } = await startWorld(t)
  t.strictSame(await statusesOf(clients, (client, who) => client.post('/repository', inTeam(`of-${who}`))), {
    owner: 201,
    writer: 403,
    reader: 403,
    stranger: 403,
    superuser: 403,
    auditor: 403,
    nobody: 401,
  })
  const creator = withToken(url, await tokenFor({ ...registry, url }, 'owner', ['repo:create']))
  t.equal((await creator.post('/repository', inTeam('by-token'))).status, 201)
  const reader = withToken(url, await tokenFor({ ...registry, url }, 'owner', ['repo:admin']))
  t.equal((await reader.post('/repository', inTeam('by-another'))).status, 403)
})

t.test('who may not read a repository learns nothing of it, nor whether there is one', async t => {
  const { clients } = await startWorld(t)
  const existing = '/repository/team/app'
  const missing = '/repository/team/missing'
  t.strictSame(await statusesOf(clients, client => client.get(existing)), {
    owner: 200,
    writer: 200,
    reader: 200,
    stranger: 403,
    superuser: 403,
    auditor: 200,
    nobody: 401,
  })
  for (const who of ['stranger', 'superuser', 'nobody'] as const) {
    for (const ask of [
      (path: string) => clients[who].get(path),
      (path: string) => clients[who].get(`${path}/tag/`),
      (path: string) => clients[who].put(path, { description: 'x' }),
      (path: string) => clients[who].delete(path),
      (path: string) => clients[who].post(`${path}/changevisibility`, { visibility: 'public' }),
    ]) {
      const [one, other] = [await ask(existing), await ask(missing)]
      t.equal(one.status, who === 'nobody' ? 401 : 403)
      t.strictSame(one, { ...other, headers: one.headers }, `the same for ${who}`)
    }
  }
  t.equal((await clients.owner.get(missing)).status, 404)
  t.equal((await clients.auditor.get(missing)).status, 404)
})

t.test('each change asks for its role, and a superuser has it where the configuration says so', async t => {
  for (const full of [false, true]) {
    const { clients } = await startWorld(t, { accounts: { superusersfullaccess: full } })
    const superuser = (status: number) => (full ? status : 403)
    t.strictSame(await statusesOf(clients, client => client.put('/repository/team/app', { description: 'new' })), {
      owner: 200,
      writer: 200,
      reader: 403,
      stranger: 403,
      superuser: superuser(200),
      auditor: 403,
      nobody: 401,
    })
    const forAdmins = {
      owner: 200,
      writer: 403,
      reader: 403,
      stranger: 403,
      superuser: superuser(200),
      auditor: 403,
      nobody: 401,
    }
    const app = '/repository/team/app'
    t.strictSame(await statusesOf(clients, client => client.put(`${app}/changestate`, { state: 'NORMAL' })), forAdmins)
    const close = await statusesOf(clients, client => client.post(`${app}/changevisibility`, { visibility: 'private' }))
    t.strictSame(close, forAdmins)
    // Not by its owner first. Who sees all is told that it is gone.
    const deleted = await statusesOf({ ...clients, owner: clients.stranger }, client => client.delete(app))
    t.strictSame(deleted, { ...forAdmins, owner: 403, superuser: superuser(204), auditor: full ? 404 : 403 })
    t.equal((await clients.owner.delete(app)).status, full ? 404 : 204)
  }
})

t.test('a repository is opened to everyone and closed again', async t => {
  const { clients, url } = await startWorld(t)
  const { owner, nobody, stranger } = clients
  t.equal(await pull(url, undefined, 'team/app/manifests/latest'), 401)
  t.strictSame((await owner.post('/repository/team/app/changevisibility', { visibility: 'public' })).body, {
    success: true,
  })
  t.equal(await pull(url, undefined, 'team/app/manifests/latest'), 200)
  t.match((await nobody.get('/repository/team/app')).body, { is_public: true, can_write: false, can_admin: false })
  t.equal((await stranger.put('/repository/team/app', { description: 'x' })).status, 403)
  await expecting(200, owner.post('/repository/team/app/changevisibility', { visibility: 'private' }))
  t.equal(await pull(url, undefined, 'team/app/manifests/latest'), 401)
  t.equal((await owner.post('/repository/team/app/changevisibility', { visibility: 'secret' })).status, 400)
})

t.test('what is public is not shown to those without an account where that is switched off', async t => {
  const { clients } = await startWorld(t, { accounts: { anonymous: false } })
  await expecting(200, clients.owner.post('/repository/team/app/changevisibility', { visibility: 'public' }))
  t.equal((await clients.nobody.get('/repository/team/app')).status, 401)
  t.equal((await clients.nobody.get('/repository?public=true')).status, 401)
  t.equal((await clients.stranger.get('/repository/team/app')).status, 200)
})

t.test('a read-only repository takes nothing and loses nothing', async t => {
  const { clients, url, content } = await startWorld(t)
  const { owner } = clients
  const app = '/repository/team/app'
  await expecting(200, owner.put(`${app}/changestate`, { state: 'READ_ONLY' }))
  t.match((await owner.get(app)).body, { state: 'READ_ONLY', can_write: false, can_admin: true })
  const { digest } = content.manifest
  for (const refused of [
    await owner.put(`${app}/tag/other`, { manifest_digest: digest }),
    await owner.delete(`${app}/tag/latest`),
    await owner.post(`${app}/tag/latest/restore`, { manifest_digest: digest }),
    await owner.post(`${app}/manifest/${digest}/labels`, { key: 'a', value: 'b', media_type: null }),
  ]) {
    t.equal(refused.status, 503)
    t.match(refused.body, { error_type: 'unavailable' })
  }
  await t.rejects(pushAs(url, loginOf('owner'), 'team/app', image(), 'new'), { message: /403/ })
  t.equal(await pull(url, loginOf('reader'), 'team/app/manifests/latest'), 200)
  await expecting(200, owner.put(`${app}/changestate`, { state: 'NORMAL' }))
  t.equal((await owner.put(`${app}/tag/other`, { manifest_digest: digest })).status, 201)
  for (const state of ['MIRROR', 'BROKEN'])
    t.match(await owner.put(`${app}/changestate`, { state }), { status: 400, body: { error_type: 'invalid_request' } })
})

t.test('the newest push, and the newest 500 tags, are told', async t => {
  const { clients, url, content, database } = await startWorld(t)
  const { body } = await clients.reader.get('/repository/team/app')
  t.match(field(body, 'tags', 'latest'), {
    name: 'latest',
    size: content.config.bytes.length + 1000,
    manifest_digest: content.manifest.digest,
    last_modified: /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d -0000$/,
  })
  const list = await clients.reader.get('/repository?namespace=team&last_modified=true')
  const seconds = Number(field(list.body, 'repositories', 0, 'last_modified'))
  t.ok(Math.abs(seconds - Date.now() / 1000) < 60)
  await clients.owner.delete('/repository/team/app/tag/latest')
  const after = await clients.reader.get('/repository?namespace=team&last_modified=true')
  t.equal(field(after.body, 'repositories', 0, 'last_modified'), null)

  await database.change({
    name: 'many_tags',
    text: `insert into tags (repository_id, name, manifest_id, lifetime_start)
           select m.repository_id, 'tag-' || n, m.id, now() - make_interval(secs => n) from manifests m, generate_series(1, 600) as n`,
  })
  const many = field((await clients.reader.get('/repository/team/app')).body, 'tags')
  t.equal(Object.keys(many ?? {}).length, 500)
  t.ok(field(many, 'tag-500'))
  t.equal(field(many, 'tag-501'), undefined)
  t.equal(await pull(url, loginOf('reader'), 'team/app/manifests/tag-600'), 200)
})

t.test('lists have what one may read, in pages of 100', async t => {
  const { clients, database } = await startWorld(t)
  const { owner, reader, stranger, superuser, auditor, nobody } = clients
  await database.change({
    name: 'many_repositories',
    text: `insert into repositories (namespace_id, name, visibility)
           select id, 'team/r' || lpad(n::text, 3, '0'), case when n % 2 = 0 then 'public' else 'private' end
             from namespaces, generate_series(1, 250) as n where name = 'team'`,
  })
  const names = async (client: typeof owner, query: string) => {
    const found: string[] = []
    for (let next = ''; ;) {
      const { body } = await expecting(200, client.get(`/repository?${query}${next}`))
      const page = rowsOf(body, 'repositories', 'namespace', 'name').map(row => row.replace(' ', '/'))
      found.push(...page)
      const { next_page: token } = body as { next_page?: string }
      if (token === undefined) return found
      t.equal(page.length, 100)
      next = `&next_page=${token}`
    }
  }
  t.equal((await names(owner, 'namespace=team')).length, 251)
  t.equal((await names(auditor, 'namespace=team')).length, 251)
  t.strictSame(await names(reader, 'namespace=team'), ['team/app'])
  t.strictSame(await names(stranger, 'namespace=team'), [])
  t.strictSame(await names(superuser, 'namespace=team'), [])
  const open = Array.from({ length: 125 }, (_, index) => `team/r${String(2 * index + 2).padStart(3, '0')}`)
  t.strictSame(await names(stranger, 'namespace=team&public=true'), open)
  t.strictSame(await names(nobody, 'namespace=team&public=true'), open)
  t.strictSame(await names(nobody, 'public=true'), open)
  t.strictSame(await names(reader, 'public=true'), ['team/app', ...open])
  t.equal((await names(auditor, 'public=true')).length, 251)
  t.strictSame(await names(nobody, 'namespace=team'), [])
  t.strictSame(await names(nobody, 'public=true&repo_kind=application'), [])

  t.strictSame(field((await reader.get('/repository?namespace=team')).body, 'repositories', 0), {
    namespace: 'team',
    name: 'app',
    description: '',
    is_public: false,
    kind: 'image',
    state: 'NORMAL',
    is_starred: false,
  })
  t.equal(field((await nobody.get('/repository?public=1')).body, 'repositories', 0, 'is_starred'), undefined)
  for (const query of [
    '',
    '?public=false',
    '?starred=0',
    '?namespace=',
    '?next_page=x&public=true',
    '?namespace=a%00b',
  ])
    t.equal((await nobody.get(`/repository${query}`)).status, 400, query)
  t.equal((await nobody.get('/repository?starred=true')).status, 400)
})

t.test('a repository with one component is one of the namespace library, unless that has one of the name', async t => {
  const { clients, database, url } = await startWorld(t, { accounts: { superusersfullaccess: true } })
  const { superuser, nobody } = clients
  await database.change({
    name: 'library',
    text: `with library as (insert into namespaces (name) values ('library') returning id)
           insert into repositories (namespace_id, name, visibility) select id, 'nginx', 'public' from library`,
  })
  t.match(await nobody.get('/repository/library/nginx'), { status: 200, body: { namespace: 'library', name: 'nginx' } })
  t.equal((await superuser.get('/repository/nginx')).status, 404)
  const named = async () => field((await nobody.get('/repository?public=true')).body, 'repositories')
  t.match(await named(), [{ namespace: 'library', name: 'nginx' }])
  const wish = { ...newRepository, namespace: 'library', repository: 'nginx' }
  t.match(await superuser.post('/repository', wish), { status: 400 })

  await pushAs(url, ['admin', 'adminpass123'], 'library/nginx', image(), 'own')
  t.equal((await nobody.get('/repository/library/nginx')).status, 401, 'the private one stands before it')
  t.strictSame(await named(), [])
  t.match((await superuser.get('/repository/library/nginx')).body, { tags: { own: { name: 'own' } } })
  await expecting(204, superuser.delete('/repository/library/nginx'))
  t.equal((await nobody.get('/repository/library/nginx')).status, 200, 'the other one is still there')
  await expecting(204, superuser.delete('/repository/library/nginx'))
  t.equal((await nobody.get('/repository/library/nginx')).status, 401)
  t.equal(await pull(url, ['admin', 'adminpass123'], 'nginx/manifests/latest'), 404)
})

t.test('a restricted user makes nothing of its own', async t => {
  const registry = await startWithAccounts(t, { accounts: { restrictedusers: true } })
  const user = await makeSession(registry, 'user')
  t.equal((await user.post('/repository', { ...newRepository, repository: 'app' })).status, 403)
})

function inTeam(repository: string) {
  return { ...newRepository, namespace: 'team', repository }
}
