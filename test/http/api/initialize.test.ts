import t from 'tap'
import { startRegistry } from '../../helpers/registry.ts'

const auth = { accounts: { initialize: true, superusers: ['quayadmin'] } }

async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

t.test('the first user is made by one request, with a token that may do everything', async t => {
  const { url } = await startRegistry(t, { auth })
  const initialize = `${url}/api/v1/user/initialize`
  const user = { username: 'quayadmin', password: 'quaypass123', email: 'quayadmin@example.com', access_token: true }

  const short = await post(initialize, { ...user, password: 'short' })
  t.equal(short.status, 400)
  t.strictSame(short.body, {
    message:
      'Failed to initialize user: Invalid password, password must be at least 8 characters and contain no whitespace.',
  })

  const made = await post(initialize, user)
  t.equal(made.status, 200)
  t.match(made.body, {
    username: 'quayadmin',
    email: 'quayadmin@example.com',
    encrypted_password: /^[A-Za-z0-9+/]+=*$/,
    access_token: /^[A-Z0-9]{40}$/,
  })

  const again = await post(initialize, user)
  t.equal(again.status, 400)
  t.strictSame(again.body, { message: 'Cannot initialize user in a non-empty database' })

  const token = String(Reflect.get(made.body as object, 'access_token'))
  const me = await fetch(`${url}/api/v1/user/`, { headers: { authorization: `Bearer ${token}` } })
  t.equal(me.status, 200)
  t.match(await me.json(), { anonymous: false, username: 'quayadmin', super_user: true, verified: true })

  const nobody = await fetch(`${url}/api/v1/user/`)
  t.equal(nobody.status, 401)
  t.match(await nobody.json(), { error_type: 'invalid_token', status: 401, type: /\/api\/v1\/error\/invalid_token$/ })
})
