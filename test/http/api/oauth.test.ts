import t, { type Test } from 'tap'
import { type ApiClient, field, makeSession, startWithAccounts, tokenFor, withToken } from '../../helpers/accounts.ts'

const back = 'https://app.example.com/back'

/** A registry with the organization `team` of alice, and an application of it. */
async function start(t: Test) {
  const registry = await startWithAccounts(t)
  const { url } = registry
  const alice = await makeSession(registry, 'alice')
  await alice.post('/organization', { name: 'team' })
  const made = await alice.post('/organization/team/applications', { name: '<b>Builder</b>', redirect_uri: back })
  const clientId = String(field(made.body, 'client_id'))
  const clientSecret = String(field(made.body, 'client_secret'))
  const ask = { client_id: clientId, redirect_uri: back, scope: 'repo:read', state: 'x&y' }
  return { registry, url, alice, clientId, clientSecret, ask }
}

type Fields = Record<string, string>

/** What a browser does: it follows no redirect here. */
function browser(url: string, client: ApiClient) {
  return {
    page: (path: string, fields: Fields) => client.get(`${url}${path}?${new URLSearchParams(fields).toString()}`),
    /** The test's client writes JSON; the route takes it as it takes a form. */
    send: (path: string, fields: Fields) => client.post(`${url}${path}`, fields),
  }
}

/** A form as a browser posts it, which has no header but its cookie. */
async function postForm(url: string, path: string, fields: Fields, headers: Fields = {}) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers,
    body: new URLSearchParams(fields),
    redirect: 'manual',
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, location: response.headers.get('location') ?? '' }
}

/** The cookie of a session, by signing in as a browser does. */
async function cookieOf(url: string, username: string): Promise<string> {
  const response = await fetch(`${url}/api/v1/signin`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password: 'userpass123' }),
  })
  return response.headers
    .getSetCookie()
    .map(line => line.split(';')[0])
    .join('; ')
}

t.test('a user lets an application act in her name: page, form, code, token', async t => {
  const { url, clientId, clientSecret, ask } = await start(t)
  const cookie = await cookieOf(url, 'alice')
  const response = await fetch(`${url}/oauth/authorize?${new URLSearchParams(ask).toString()}`, { headers: { cookie } })
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), 'text/html')
  t.match(response.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/)
  t.equal(response.headers.get('cache-control'), 'no-store')
  const page = await response.text()
  t.notMatch(page, '<b>Builder', 'what others have written is no HTML')
  t.match(page, '&#60;b&#62;Builder')
  const [, action = ''] = /<form method="post" action="([^"]+authorizeapp)"/.exec(page) ?? []
  const fields = Object.fromEntries(
    [...(/authorizeapp".*?<\/form>/s.exec(page)?.[0] ?? '').matchAll(/name="(\w+)" value="([^"]*)"/g)].map(
      ([, name, value = '']) => [
        name,
        value.replaceAll(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code))),
      ],
    ),
  )
  t.match(fields, { ...ask, response_type: 'code', _csrf_token: /./ })

  const approved = await postForm(url, action.replace(url, ''), fields, { cookie })
  t.equal(approved.status, 302)
  const location = new URL(approved.location)
  t.equal(location.origin + location.pathname, back)
  t.equal(location.searchParams.get('state'), 'x&y')
  const code = location.searchParams.get('code') ?? ''
  t.match(code, /^[A-Z0-9]{40}$/)

  const redeem = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: back,
    client_id: clientId,
    client_secret: clientSecret,
  }
  const given = await postForm(url, '/oauth/access_token', redeem)
  t.equal(given.status, 200)
  t.equal(given.headers.get('cache-control'), 'no-store')
  const body = JSON.parse(given.text)
  t.match(body, { access_token: /^[A-Z0-9]{40}$/, token_type: 'Bearer', refresh_token: null })
  t.ok(body.expires_in > 315_000_000)
  const client = withToken(url, body.access_token)
  t.equal((await client.get('/user')).status, 403, 'within its scopes: it may not read about the user')
  const again = await postForm(url, '/oauth/access_token', redeem)
  t.equal(again.status, 400)
  t.same(JSON.parse(again.text), { error: 'invalid_grant' }, 'a code is good once')
})

t.test('a code is redeemed by its application alone, for its address, within its time', async t => {
  const { registry, url, alice, clientId, clientSecret, ask } = await start(t)
  const { send } = browser(url, alice)
  const other = (await alice.post('/organization/team/applications', { name: 'Other', redirect_uri: back })).body
  const codeOf = async () => {
    const { headers } = await send('/oauth/authorizeapp', ask)
    return new URL(headers.get('location') ?? '').searchParams.get('code') ?? ''
  }
  const good = {
    grant_type: 'authorization_code',
    redirect_uri: back,
    client_id: clientId,
    client_secret: clientSecret,
  }
  const rows: [string, Fields, string][] = [
    ['another kind of grant', { grant_type: 'password' }, 'unsupported_grant_type'],
    ['a wrong secret', { client_secret: 'X'.repeat(40) }, 'invalid_client'],
    ['no secret', { client_secret: '' }, 'invalid_client'],
    ['an unknown application', { client_id: 'NONE' }, 'invalid_client'],
    ['an id with a NUL', { client_id: 'a\0b' }, 'invalid_client'],
    ['a made up code', { code: 'X'.repeat(40) }, 'invalid_grant'],
    ['another address', { redirect_uri: `${back}/other` }, 'invalid_grant'],
    [
      'another application',
      { client_id: String(field(other, 'client_id')), client_secret: String(field(other, 'client_secret')) },
      'invalid_grant',
    ],
  ]
  for (const [what, changed, error] of rows) {
    const answer = await postForm(url, '/oauth/access_token', { ...good, code: await codeOf(), ...changed })
    t.equal(answer.status, 400, what)
    t.same(JSON.parse(answer.text), { error }, what)
  }
  const basic = { authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` }
  const { client_id: _id, client_secret: _secret, ...rest } = good
  t.equal(
    (await postForm(url, '/oauth/access_token', { ...rest, code: await codeOf() }, basic)).status,
    200,
    'secrets by Basic',
  )

  const late = await codeOf()
  await registry.database.change({ name: 'test.late', text: 'update oauth_codes set expires_at = now()' })
  t.same(JSON.parse((await postForm(url, '/oauth/access_token', { ...good, code: late })).text), {
    error: 'invalid_grant',
  })
  const disabled = await codeOf()
  await registry.database.change({
    name: 'test.alice_off',
    text: `update accounts set enabled = false where name = 'alice'`,
  })
  t.same(JSON.parse((await postForm(url, '/oauth/access_token', { ...good, code: disabled })).text), {
    error: 'invalid_grant',
  })
})

t.test('a form that does not come from a page of the session is refused', async t => {
  const { registry, url, ask } = await start(t)
  const cookie = await cookieOf(url, 'alice')
  const other = await makeSession(registry, 'bob')
  const foreign = String(field((await other.get(`${url}/csrf_token`)).body, 'csrf_token'))
  for (const path of ['/oauth/authorizeapp', '/oauth/denyapp']) {
    for (const fields of [ask, { ...ask, _csrf_token: '' }, { ...ask, _csrf_token: foreign }])
      t.equal((await postForm(url, path, fields, { cookie })).status, 403, path)
    t.equal((await postForm(url, path, ask)).status, 401, 'and without a session no one is known')
    const token = await tokenFor(registry, 'alice', ['user:admin', 'org:admin', 'repo:read'])
    const byToken = await postForm(url, path, ask, { authorization: `Bearer ${token}` })
    t.equal(byToken.status, 401, 'a token can not give itself others')
  }
  t.equal((await fetch(`${url}/oauth/authorize?${new URLSearchParams(ask).toString()}`)).status, 401)
})

t.test('the question is told as JSON as well, and is for admins of the organization', async t => {
  const { registry, url, alice, clientId, ask } = await start(t)
  const { page, send } = browser(url, alice)
  const told = await page('/oauth/authorize', { ...ask, scope: 'repo:read,user:admin', format: 'json' })
  t.match(told, {
    status: 200,
    body: {
      scopes: [{ scope: 'repo:read' }, { scope: 'user:admin', dangerous: true }],
      has_dangerous_scopes: true,
      application: { name: '<b>Builder</b>', organization: { name: 'team' } },
      response_type: 'code',
      client_id: clientId,
      redirect_uri: back,
      scope: 'repo:read,user:admin',
      csrf_token_val: /./,
      state: 'x&y',
    },
  })
  const bob = browser(url, await makeSession(registry, 'bob'))
  const rows: [string, Fields, number][] = [
    ['an unknown application', { client_id: 'NONE' }, 404],
    ['an unknown scope', { scope: 'repo:everything' }, 400],
    ['no scope', { scope: '' }, 400],
    ['a scope beyond what she may', { scope: 'super:user' }, 403],
    ['another address', { redirect_uri: 'https://evil.example.com/back' }, 400],
    ['an address below it', { redirect_uri: `${back}/more` }, 400],
    ['an address with a query', { redirect_uri: `${back}?x=1` }, 400],
    ['another kind of answer', { response_type: 'password' }, 400],
  ]
  for (const [what, changed, status] of rows) {
    t.equal((await page('/oauth/authorize', { ...ask, ...changed, format: 'json' })).status, status, what)
    for (const path of ['/oauth/authorizeapp', '/oauth/denyapp'])
      t.equal((await send(path, { ...ask, ...changed })).status, status, `${what}: ${path}`)
  }
  t.equal((await bob.page('/oauth/authorize', { ...ask, format: 'json' })).status, 403)
  t.equal((await bob.send('/oauth/authorizeapp', ask)).status, 403)
})

t.test('a no goes back to the application', async t => {
  const { url, alice, ask } = await start(t)
  const { status, headers } = await browser(url, alice).send('/oauth/denyapp', ask)
  t.equal(status, 302)
  t.equal(headers.get('location'), `${back}?error=authorization_denied&state=x%26y`)
})

t.test('a token comes at once where the application asks for it so', async t => {
  const { url, alice, ask } = await start(t)
  const { send, page } = browser(url, alice)
  const own = `${url}/oauth/localapp`
  for (const redirect of [back, own]) {
    const { status, headers } = await send('/oauth/authorizeapp', {
      ...ask,
      scope: 'user:read',
      redirect_uri: redirect,
      response_type: 'token',
    })
    t.equal(status, 302)
    const location = new URL(headers.get('location') ?? '')
    t.equal(location.origin + location.pathname, redirect)
    t.notOk(location.searchParams.has('access_token'), 'no server gets to see it')
    const fragment = new URLSearchParams(location.hash.slice(1))
    t.match(Object.fromEntries(fragment), { token_type: 'Bearer', expires_in: /^\d+$/, state: 'x&y' })
    t.equal((await withToken(url, fragment.get('access_token') ?? '').get('/user')).status, 200)
  }
  const shown = await page('/oauth/localapp', { scope: 'user:read' })
  t.equal(shown.status, 200)
  t.match(shown.headers.get('content-security-policy'), /script-src 'nonce-/)
  t.match((await page('/oauth/localapp', {})).body, /Authorization canceled/)
  t.same((await page('/oauth/localapp', { scope: 'x', format: 'json', access_token: 'A' })).body, { access_token: 'A' })
  t.equal((await fetch(own)).status, 401)
})
