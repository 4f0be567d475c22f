import t, { type Test } from 'tap'
import {
  type AccountsOptions,
  type Answer,
  type ApiClient,
  type AccountsRegistry,
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

/** A registry with the organization `team`, of which alice is the admin. */
async function start(t: Test, options: AccountsOptions = {}) {
  const registry = await startWithAccounts(t, options)
  const alice = await makeSession(registry, 'alice')
  t.equal((await alice.post('/organization', { name: 'team', email: 'team@example.com' })).status, 201)
  return { ...registry, registry, alice }
}

type Method = 'get' | 'post' | 'put' | 'delete'

/** One request, with a body where the method has one. */
function ask(client: ApiClient, method: Method, path: string, body?: unknown): Promise<Answer> {
  return method === 'get' ? client.get(path) : client[method](path, body)
}

const base = '/organization/team/applications'
const named = (name: string) => ({
  name,
  redirect_uri: 'https://app.example.com/back',
  application_uri: 'https://app.example.com',
})

t.test('applications are made, seen, changed and deleted', async t => {
  const { alice, url } = await start(t)
  t.same((await alice.get(base)).body, { applications: [] })
  const made = await alice.post(base, {
    ...named('Builder'),
    description: 'Builds',
    avatar_email: 'builder@example.com',
  })
  t.equal(made.status, 200)
  t.match(made.body, {
    name: 'Builder',
    description: 'Builds',
    application_uri: 'https://app.example.com',
    redirect_uri: 'https://app.example.com/back',
    avatar_email: 'builder@example.com',
    client_id: /^[A-Z0-9]{20}$/,
    client_secret: /^[A-Z0-9]{40}$/,
  })
  const id = String(field(made.body, 'client_id'))
  const least = await alice.post(base, { name: 'Least' })
  t.match(least.body, { name: 'Least', description: '', application_uri: '', redirect_uri: '', avatar_email: null })
  t.same((await alice.get(base)).body, { applications: [made.body, least.body] }, 'by name')
  t.same((await alice.get(`${base}/${id}`)).body, made.body)

  t.same((await createClient(url).get(`/app/${id}`)).body, {
    name: 'Builder',
    description: 'Builds',
    uri: 'https://app.example.com',
    avatar: field((await createClient(url).get(`/app/${id}`)).body, 'avatar'),
    organization: {
      name: 'team',
      avatar: field((await createClient(url).get(`/app/${id}`)).body, 'organization', 'avatar'),
    },
  })
  t.match((await createClient(url).get('/app/NONE')).status, 404)

  const changed = await alice.put(`${base}/${id}`, named('Renamed'))
  t.match(changed.body, { name: 'Renamed', description: '', avatar_email: null, client_id: id })
  t.equal(field(changed.body, 'client_secret'), field(made.body, 'client_secret'))
  const reset = await alice.post(`${base}/${id}/resetclientsecret`)
  t.match(reset.body, { name: 'Renamed', client_secret: /^[A-Z0-9]{40}$/ })
  t.not(field(reset.body, 'client_secret'), field(made.body, 'client_secret'))
  t.same((await alice.get(`${base}/${id}`)).body, reset.body)

  t.equal((await alice.delete(`${base}/${id}`)).status, 204)
  for (const answer of [
    await alice.get(`${base}/${id}`),
    await alice.put(`${base}/${id}`, named('x')),
    await alice.delete(`${base}/${id}`),
    await alice.post(`${base}/${id}/resetclientsecret`),
    await alice.get(`${base}/${id}/tokens`),
    await alice.post(`${base}/${id}/tokens`, { name: 'x', scope: 'repo:read' }),
  ])
    t.match(answer, { status: 404, body: { error_type: 'not_found' } })
})

t.test('what can not be taken is refused', async t => {
  const { alice } = await start(t)
  const wrong: Record<string, unknown>[] = [
    {},
    { name: '' },
    { name: '   ' },
    { name: 'x'.repeat(256) },
    { name: 'a\0b' },
    { name: 'x', application_uri: 'javascript:alert(1)' },
    { name: 'x', application_uri: 'nonsense' },
    { name: 'x', redirect_uri: 'nonsense' },
    { name: 'x', redirect_uri: 'https://app.example.com/#part' },
    { name: 'x', redirect_uri: 'javascript:alert(1)' },
    { name: 'x', avatar_email: 'nonsense' },
    { name: 'x', description: 'x'.repeat(20_000) },
  ]
  for (const body of wrong)
    t.match(await alice.post(base, body), { status: 400, body: { error_type: 'invalid_request' } })
  t.same((await alice.get(base)).body, { applications: [] })
})

t.test('applications are for the admins of their organization', async t => {
  const { alice, admin, url, registry } = await start(t, {
    accounts: { superusers: ['admin'], readonlysuperusers: ['auditor'] },
  })
  const made = await alice.post(base, named('Builder'))
  const id = String(field(made.body, 'client_id'))
  const token = await alice.post(`${base}/${id}/tokens`, { name: 'one', scope: 'repo:read' })
  const uuid = String(field(token.body, 'uuid'))
  const bob = await makeSession(registry, 'bob')
  t.equal((await bob.post('/organization', { name: 'other' })).status, 201)
  const auditor = await makeSession(registry, 'auditor')

  const requests = (organization: string): [Method, string, unknown?][] => {
    const place = `/organization/${organization}/applications`
    return [
      ['get', place],
      ['post', place, named('x')],
      ['get', `${place}/${id}`],
      ['put', `${place}/${id}`, named('x')],
      ['post', `${place}/${id}/resetclientsecret`],
      ['get', `${place}/${id}/tokens`],
      ['post', `${place}/${id}/tokens`, { name: 'x', scope: 'repo:read' }],
      ['delete', `${place}/${id}/tokens/${uuid}`],
      ['delete', `${place}/${id}`],
    ]
  }
  const narrow = withToken(url, await tokenFor(registry, 'alice', ['repo:admin', 'user:admin']))
  for (const [method, path, body] of requests('team')) {
    t.equal((await ask(createClient(url), method, path, body)).status, 401, `no one: ${method} ${path}`)
    for (const [who, client] of Object.entries({ bob, admin, narrow }))
      t.equal((await ask(client, method, path, body)).status, 403, `${who}: ${method} ${path}`)
    const seen = await ask(auditor, method, path, body)
    t.equal(seen.status, method === 'get' ? 200 : 403, `auditor: ${method} ${path}`)
    t.notMatch(JSON.stringify(seen.body), String(field(made.body, 'client_secret')))
  }
  for (const [method, path, body] of requests('other').slice(2)) {
    t.equal((await ask(bob, method, path, body)).status, 404, `by way of another organization: ${method} ${path}`)
  }
  t.same((await alice.get(`${base}/${id}`)).body, made.body, 'nothing was changed')
})

t.test('tokens act as who made them, within their scopes, and are shown once', async t => {
  const { alice, url } = await start(t)
  const id = String(field((await alice.post(base, named('Builder'))).body, 'client_id'))
  const tokens = `${base}/${id}/tokens`
  const made = await alice.post(tokens, { name: ' nightly ', scope: 'user:read,repo:read repo:read', expiration: 3600 })
  t.equal(made.status, 200)
  const { token, ...shown } = made.body as { token: string; expires_at: string }
  t.match(token, /^[A-Z0-9]{40}$/)
  t.match(shown, {
    name: 'nightly',
    scope: 'repo:read user:read',
    created_by: 'alice',
    last_accessed: null,
    uuid: /^[\da-f-]{36}$/,
  })
  t.ok(Math.abs(Date.parse(shown.expires_at) - Date.now() - 3600_000) < 60_000)

  const client = withToken(url, token)
  t.match(await client.get('/user'), { status: 200, body: { username: 'alice' } })
  t.equal((await client.get('/user/apptoken')).status, 403)
  const listed = await alice.get(tokens)
  t.match(listed.body, { tokens: [{ ...shown, last_accessed: /T.*Z$/ }] })
  t.notOk(JSON.stringify(listed.body).includes(token))

  t.equal((await alice.delete(`${tokens}/${String(field(shown, 'uuid'))}`)).status, 204)
  t.match(await client.get('/user'), { status: 401, body: { error_type: 'invalid_token' } })
  for (const uuid of [String(field(shown, 'uuid')), 'nonsense', '%00'])
    t.equal((await alice.delete(`${tokens}/${uuid}`)).status, 404)

  const second = withToken(
    url,
    String(field((await alice.post(tokens, { name: 'x', scope: 'user:read' })).body, 'token')),
  )
  t.equal((await second.get('/user')).status, 200)
  await alice.delete(`${base}/${id}`)
  t.equal((await second.get('/user')).status, 401, 'tokens go with their application')
})

t.test('a token ends, at the latest after ten years', async t => {
  const { alice, database, url } = await start(t)
  const id = String(field((await alice.post(base, named('Builder'))).body, 'client_id'))
  const tokens = `${base}/${id}/tokens`
  const years = async (body: Record<string, unknown>) => {
    const made = await alice.post(tokens, { name: 'x', scope: 'user:read', ...body })
    return (Date.parse(String(field(made.body, 'expires_at'))) - Date.now()) / (365.25 * 24 * 3600_000)
  }
  for (const body of [{}, { expiration: 1e12 }]) t.ok(Math.abs((await years(body)) - 10) < 0.01)
  t.ok(Math.abs((await years({ expiration: 0.5 })) * 365.25 * 24 * 3600 - 1) < 10)
  for (const body of [
    { expiration: 0 },
    { expiration: -1 },
    { expiration: '1h' },
    { scope: '' },
    { scope: 'repo:everything' },
    { name: '' },
    { name: 'x'.repeat(256) },
  ])
    t.match(await alice.post(tokens, { name: 'x', scope: 'user:read', ...body }), { status: 400 })

  const { body } = await alice.post(tokens, { name: 'last', scope: 'user:read' })
  await database.change({
    name: 'test.end_token',
    text: `update oauth_tokens set expires_at = now() where name = 'last'`,
  })
  t.equal((await withToken(url, String(field(body, 'token'))).get('/user')).status, 401)
  t.notMatch(JSON.stringify((await alice.get(tokens)).body), '"last"')
})

t.test('no token has more power than who makes it', async t => {
  const { alice, url, registry } = await start(t)
  const id = String(field((await alice.post(base, named('Builder'))).body, 'client_id'))
  const tokens = `${base}/${id}/tokens`
  t.equal((await alice.post(tokens, { name: 'x', scope: 'super:user' })).status, 403, 'alice is no superuser')
  const narrow = withToken(url, await tokenFor(registry, 'alice', ['org:admin', 'repo:write']))
  for (const scope of ['user:admin', 'repo:admin', 'org:admin user:read', 'repo:create'])
    t.equal((await narrow.post(tokens, { name: 'x', scope })).status, 403, scope)
  for (const scope of ['org:admin', 'repo:read', 'repo:write org:admin'])
    t.equal((await narrow.post(tokens, { name: 'x', scope })).status, 200, scope)
})

const names = ({ body }: { body: unknown }) => (field(body, 'tokens') as { name: string }[]).map(({ name }) => name)

t.test('tokens come in pages, the newest first', async t => {
  const { alice } = await start(t)
  const id = String(field((await alice.post(base, named('Builder'))).body, 'client_id'))
  const tokens = `${base}/${id}/tokens`
  for (let at = 0; at < 53; at++) await alice.post(tokens, { name: `t${at}`, scope: 'repo:read' })
  const first = await alice.get(tokens)
  t.same(
    names(first),
    Array.from({ length: 50 }, (_, at) => `t${52 - at}`),
  )
  const second = await alice.get(`${tokens}?next_page=${String(field(first.body, 'next_page'))}`)
  t.same(names(second), ['t2', 't1', 't0'])
  t.notOk(field(second.body, 'next_page'))
  t.equal((await alice.get(`${tokens}?next_page=nonsense`)).status, 400)
})

t.test('users see the tokens that act in their name, and take them away', async t => {
  const { alice, registry, url } = await start(t)
  const id = String(field((await alice.post(base, { ...named('Builder'), description: 'Builds' })).body, 'client_id'))
  const made = await alice.post(`${base}/${id}/tokens`, { name: 'x', scope: 'repo:write user:admin' })
  const uuid = String(field(made.body, 'uuid'))
  const listed = await alice.get('/user/authorizations')
  t.match(listed.body, {
    authorizations: [
      {
        uuid,
        application: {
          name: 'Builder',
          clientId: id,
          description: 'Builds',
          url: 'https://app.example.com',
          avatar: { name: 'Builder', kind: 'app' },
          organization: { name: 'team', avatar: { name: 'team', kind: 'org' } },
        },
        scopes: [
          { scope: 'repo:write', title: /./, description: /./, dangerous: false },
          { scope: 'user:admin', dangerous: true },
        ],
      },
    ],
  })
  t.same((await alice.get(`/user/authorizations/${uuid}`)).body, field(listed.body, 'authorizations', 0))
  const bob = await makeSession(registry, 'bob')
  t.same((await bob.get('/user/authorizations')).body, { authorizations: [] })
  t.equal((await bob.get(`/user/authorizations/${uuid}`)).status, 404)
  t.equal((await bob.delete(`/user/authorizations/${uuid}`)).status, 404)
  const client = withToken(url, String(field(made.body, 'token')))
  t.equal((await client.get('/user')).status, 200)
  t.equal((await alice.delete(`/user/authorizations/${uuid}`)).status, 204)
  t.equal((await client.get('/user')).status, 401)
  t.equal((await alice.get('/user/authorizations/nonsense')).status, 404)
})

t.test('application-specific tokens are made, seen and taken away by their user', async t => {
  const { alice, registry, url } = await start(t)
  const made = await alice.post('/user/apptoken', { title: ' laptop ' })
  t.equal(made.status, 200)
  const { token_code: code, ...shown } = field(made.body, 'token') as { token_code: string; uuid: string }
  t.match(code, /^[A-Z0-9]{64}$/)
  t.match(shown, {
    title: 'laptop',
    last_accessed: null,
    created: /^\w{3}, \d\d \w{3} \d{4} .* -0000$/,
    expiration: null,
  })
  t.same((await alice.get('/user/apptoken')).body, { tokens: [shown], only_expiring: false })
  t.same((await alice.get('/user/apptoken?expiring=true')).body, { tokens: [], only_expiring: true }, 'it never ends')
  t.same((await alice.get(`/user/apptoken/${shown.uuid}`)).body, made.body)

  const login = await fetch(`${url}/v2/`, { headers: { authorization: `Basic ${btoa(`$app:${code}`)}` } })
  t.equal(login.status, 200)
  t.match((await alice.get('/user/apptoken')).body, { tokens: [{ last_accessed: /-0000$/ }] })

  const bob = await makeSession(registry, 'bob')
  t.same((await bob.get('/user/apptoken')).body, { tokens: [], only_expiring: false })
  for (const answer of [
    await bob.get(`/user/apptoken/${shown.uuid}`),
    await bob.delete(`/user/apptoken/${shown.uuid}`),
  ])
    t.equal(answer.status, 404)
  t.equal((await createClient(url).get('/user/apptoken')).status, 401)
  for (const title of ['', ' ', 'x'.repeat(256), 'a\0b'])
    t.equal((await alice.post('/user/apptoken', { title })).status, 400)
  t.equal((await alice.delete(`/user/apptoken/${shown.uuid}`)).status, 204)
  t.equal((await alice.get(`/user/apptoken/${shown.uuid}`)).status, 404)
  t.equal((await fetch(`${url}/v2/`, { headers: { authorization: `Basic ${btoa(`$app:${code}`)}` } })).status, 401)
})

t.test('they want the password to have been entered lately, and end when the settings say so', async t => {
  const { registry } = await start(t, { accounts: { sessions: { freshlogin: '0s' } } })
  await makeUser(registry, 'bob')
  const stale = await signIn(registry.url, { username: 'bob', password })
  const { code, id } = await registry.operations.appTokens.create((await registry.operations.users.find('bob')).id, 'x')
  for (const answer of [
    await stale.post('/user/apptoken', { title: 'x' }),
    await stale.get(`/user/apptoken/${id}`),
    await stale.delete(`/user/apptoken/${id}`),
  ])
    t.match(answer, { status: 401, body: { error_type: 'fresh_login_required' } })
  t.notMatch(JSON.stringify(await stale.get('/user/apptoken')), code)

  const ending: AccountsRegistry = await startWithAccounts(t, { accounts: { apptokenlifetime: '1h' } })
  const carol = await makeSession(ending, 'carol')
  const made = await carol.post('/user/apptoken', { title: 'x' })
  const expiration = Date.parse(String(field(made.body, 'token', 'expiration')))
  t.ok(Math.abs(expiration - Date.now() - 3600_000) < 60_000)
  t.same(field((await carol.get('/user/apptoken?expiring=true')).body, 'tokens'), [])
  const move = (minutes: number) =>
    ending.database.change({
      name: `test.move${minutes}`,
      text: `update app_tokens set expires_at = now() + interval '${minutes} min'`,
    })
  await move(5)
  t.match((await carol.get('/user/apptoken?expiring=true')).body, { tokens: [{ title: 'x' }] })
  await move(-1)
  t.same(field((await carol.get('/user/apptoken')).body, 'tokens'), [])
  const headers = { authorization: `Basic ${btoa(`$app:${String(field(made.body, 'token', 'token_code'))}`)}` }
  t.equal((await fetch(`${ending.url}/v2/`, { headers })).status, 401)
})
