import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import {
  adminPassword,
  createClient,
  field,
  makeSession,
  makeUser,
  password,
  sessionOf,
  signIn,
  startWithAccounts,
  tokenFor,
  withToken,
} from '../../helpers/accounts.ts'

t.test('a session begins with a password and ends for all browsers at once', async t => {
  const registry = await startWithAccounts(t)
  const { url } = registry
  await makeUser(registry, 'dev')
  const one = await signIn(url, { username: 'dev', password })
  const other = await signIn(url, { username: 'dev', password })
  t.match(await one.get('/user/'), { status: 200, body: { username: 'dev' } })

  t.match(await one.post('/signout'), { status: 200, body: { success: true } })
  t.equal((await one.get('/user/')).status, 401)
  t.equal((await other.get('/user/')).status, 401)
})

t.test(
  'the cookie is out of reach of scripts and other sites, and stays off plain HTTP where there is TLS',
  async t => {
    const { url } = await startWithAccounts(t)
    const admin = { username: 'admin', password: adminPassword }
    const plain = await createClient(url).post('/signin', admin)
    const [cookie = ''] = plain.headers.getSetCookie()
    t.match(cookie, /^berth_session=[\w-]{43}; Max-Age=2678400; Path=\/; HttpOnly; SameSite=Lax$/)
    const proxied = await createClient(url).post('/signin', admin, { headers: { 'x-forwarded-proto': 'https' } })
    t.match(proxied.headers.getSetCookie()[0], /; Secure/)
  },
)

t.test('an e-mail address signs in as well as a name', async t => {
  const registry = await startWithAccounts(t)
  await makeUser(registry, 'dev')
  const client = await signIn(registry.url, { username: 'DEV@example.com', password })
  t.match(await client.get('/user/'), { body: { username: 'dev' } })
})

t.test('what is wrong is refused the same way, whatever it is', async t => {
  const registry = await startWithAccounts(t)
  const { url, operations, database } = registry
  const dev = await makeUser(registry, 'dev')
  await makeUser(registry, 'off')
  await operations.superuser.changeUser('off', { enabled: false })
  const token = await tokenFor(registry, 'dev', ['user:admin'])
  const refusal = {
    needsEmailVerification: false,
    invalidCredentials: true,
    message: 'Invalid Username or Password',
  }
  const wrong = [
    { username: 'dev', password: 'wrongpass123' },
    { username: 'nobody', password },
    { username: 'nobody@example.com', password },
    { username: 'off', password },
    { username: '$oauthtoken', password: token },
    { username: 'dev', password: operations.users.encryptPassword(password) },
    { username: 'dev', password: '' },
  ]
  for (const user of wrong) {
    const answer = await createClient(url).post('/signin', user)
    t.equal(answer.status, 403, user.username)
    t.strictSame(answer.body, refusal)
    t.strictSame(answer.headers.getSetCookie(), [])
  }
  t.equal((await createClient(url).post('/signin', { username: 'dev' })).status, 400)
  const sessions = { name: 'test.sessions', text: 'select from sessions where account_id = $1' }
  t.strictSame(await database.rows(sessions, [dev.id]), [])
})

t.test('who guesses is kept waiting, and who comes from elsewhere is not', async t => {
  const { url } = await startWithAccounts(t, { trustedProxies: ['127.0.0.1'] })
  const guess = () => createClient(url).post('/signin', { username: 'admin', password: 'wrongpass123' })
  const answers = []
  for (let count = 0; count < 7; count++) answers.push(await guess())
  const [last] = answers.slice(-1)
  t.match(last, { status: 429, body: { error_type: 'too_many_requests' } })
  t.match(last?.headers.get('retry-after'), /^\d+$/)
  const elsewhere = { headers: { 'x-forwarded-for': '192.0.2.7' } }
  const right = await createClient(url).post('/signin', { username: 'admin', password: adminPassword }, elsewhere)
  t.equal(right.status, 200)
})

t.test('a request of a session that changes something has to show its CSRF token', async t => {
  const registry = await startWithAccounts(t)
  const dev = await makeSession(registry, 'dev')
  for (const token of ['', 'something-else']) {
    const answer = await dev.put('/user/', { company: 'Example' }, { headers: { 'x-csrf-token': token } })
    t.match(answer, {
      status: 403,
      body: { error_type: 'insufficient_scope', detail: 'CSRF token was invalid or missing.' },
    })
    t.equal((await dev.post('/signout', undefined, { headers: { 'x-csrf-token': token } })).status, 403)
    const verify = await dev.post('/signin/verify', { password }, { headers: { 'x-csrf-token': token } })
    t.match(verify, { status: 403, body: { error_type: 'insufficient_scope' } })
  }
  t.equal((await dev.put('/user/', { company: 'Example' })).status, 200)
})

t.test(
  'the CSRF token comes with the session, and is told again; who has no session gets one that is good for nothing',
  async t => {
    const { url } = await startWithAccounts(t)
    const answer = await createClient(url).post('/signin', { username: 'admin', password: adminPassword })
    const token = answer.headers.get('x-next-csrf-token')
    const cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const told = await createClient(url, { cookie }).get(`${url}/csrf_token`)
    t.equal(field(told.body, 'csrf_token'), token)
    t.equal(told.headers.get('x-next-csrf-token'), token)

    const anonymous = await createClient(url).get(`${url}/csrf_token`)
    t.equal(anonymous.status, 200)
    t.not(field(anonymous.body, 'csrf_token'), token)
    const other = String(field(anonymous.body, 'csrf_token'))
    t.equal((await createClient(url, { cookie, 'x-csrf-token': other }).post('/signout')).status, 403)
  },
)

t.test('a page of another site can not sign a browser in', async t => {
  const { url } = await startWithAccounts(t)
  // Of Node's own `fetch` no one gets to set such a header.
  const signInFrom = (site: string) =>
    ask(`${url}/api/v1/signin`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', 'sec-fetch-site': site },
      body: JSON.stringify({ username: 'admin', password: adminPassword }),
    })
  const refused = await signInFrom('cross-site')
  t.equal(refused.status, 403)
  t.equal(refused.headers['set-cookie'], undefined)
  t.equal((await signInFrom('same-origin')).status, 200)
})

t.test('what needs a fresh login asks for the password again, and takes it', async t => {
  const registry = await startWithAccounts(t, { accounts: { sessions: { freshlogin: '1s' } } })
  const { database } = registry
  const dev = await makeSession(registry, 'dev')
  const age = { name: 'test.age', text: "update sessions set authenticated_at = now() - interval '1 minute'" }
  await database.change(age)
  const change = () => dev.put('/user/', { given_name: 'Ada' })
  t.match(await change(), { status: 401, body: { error_type: 'fresh_login_required' } })
  t.equal((await dev.get('/user/')).status, 200)

  t.match(await dev.post('/signin/verify', { password: 'wrongpass123' }), {
    status: 403,
    body: { invalidCredentials: true },
  })
  t.match(await change(), { status: 401 })
  t.match(await dev.post('/signin/verify', { password }), { status: 200, body: { success: true } })
  t.match(await change(), { status: 200, body: { given_name: 'Ada' } })

  await database.change(age)
  const token = withToken(registry.url, await tokenFor(registry, 'dev', ['user:admin']))
  t.equal((await token.put('/user/', { given_name: 'Grace' })).status, 200, 'tokens have no password to enter')
})

t.test('a session is over when its time is, and can not be made up', async t => {
  const registry = await startWithAccounts(t)
  const dev = await makeSession(registry, 'dev')
  const { database, url } = registry
  await database.change({ name: 'test.end', text: "update sessions set expires_at = now() - interval '1 second'" })
  t.equal((await dev.get('/user/')).status, 401)
  const made = createClient(url, { cookie: `berth_session=${'A'.repeat(43)}` })
  t.equal((await made.get('/user/')).status, 401)
})

t.test('passwords are for signing in: the API itself does not take them', async t => {
  const { url } = await startWithAccounts(t)
  const basic = `Basic ${Buffer.from(`admin:${adminPassword}`).toString('base64')}`
  t.match(await createClient(url, { authorization: basic }).get('/user/'), {
    status: 401,
    body: { error_type: 'invalid_token' },
  })
})

t.test('neither the database nor an answer has the cookie or a password in clear', async t => {
  const { url, database } = await startWithAccounts(t)
  const answer = await createClient(url).post('/signin', { username: 'admin', password: adminPassword })
  const cookie = answer.headers.getSetCookie()[0]?.split(';')[0]?.split('=')[1] ?? ''
  const rows = await database.rows({
    name: 'test.dump',
    text: 'select s::text as session, u::text as users from sessions s, users u',
  })
  const kept = JSON.stringify(rows)
  t.notMatch(kept, cookie)
  t.notMatch(kept, Buffer.from(cookie).toString('hex'))
  t.notMatch(kept, adminPassword)
  t.match(kept, /\$2[aby]\$04\$/)
  await sessionOf(url, answer.headers)
})
