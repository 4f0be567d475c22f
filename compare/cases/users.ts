import { at, call, type Case, inHeader } from './case.ts'
import { password } from './people.ts'

const initialize = 'POST /api/v1/user/initialize'
const admin = { username: 'admin', password, email: 'admin@example.com', access_token: true }

/** The first user, users, sessions. After a wrong password Quay refuses the right one for a while: each is another user's. */
export const users: readonly Case[] = [
  call('anonymous', 'GET /v2/', { keep: { service: inHeader('www-authenticate', /service="([^"]+)"/) } }),

  call('admin', initialize, { body: { ...admin, password: 'short' }, note: 'a short password' }),
  call('admin', initialize, { body: { ...admin, username: 'No Name' }, note: 'a wrong name' }),
  call('admin', initialize, { body: { email: 'a@example.com' }, note: 'without a name' }),
  call('admin', initialize, { body: admin, keep: { access_token: at('access_token') } }),
  call('anonymous', initialize, { body: { ...admin, username: 'second' }, note: 'with a user there' }),

  call('user', 'POST /api/v1/user/', { body: { username: 'alice', password, email: 'alice@example.com' } }),
  call('stranger', 'POST /api/v1/user/', { body: { username: 'mallory', password, email: 'mallory@example.com' } }),
  ...[
    { note: 'a name that is taken', body: { username: 'alice', password, email: 'other@example.com' } },
    { note: 'an address that is taken', body: { username: 'twin', password, email: 'alice@example.com' } },
    { note: 'a wrong name', body: { username: 'No Name', password, email: 'other@example.com' } },
    { note: 'a short password', body: { username: 'other', password: 'short', email: 'other@example.com' } },
    { note: 'without a password', body: { username: 'other', email: 'other@example.com' } },
    { note: 'no object', body: ['other'] },
    { note: 'no JSON', body: '{"username": ' },
  ].map(options => call('anonymous', 'POST /api/v1/user/', options)),

  call('anonymous', 'GET /api/v1/user/'),
  call('user', 'GET /api/v1/user/'),
  call('stranger', 'GET /api/v1/user/'),
  call('admin', 'GET /api/v1/user/'),
  call('token', 'GET /api/v1/user/'),
  call('password', 'GET /api/v1/user/'),
  call('anonymous', 'GET /api/v1/user/', { headers: { authorization: 'Bearer wrong' }, note: 'with a wrong token' }),

  call('user', 'PUT /api/v1/user/', { body: { given_name: 'Alice', company: 'Acme', tag_expiration_s: 86400 } }),
  call('user', 'PUT /api/v1/user/', { body: { invoice_email: 'yes' }, note: 'a field of another type' }),
  call('user', 'PUT /api/v1/user/', { body: { password: 'short' }, note: 'a short password' }),
  call('user', 'PUT /api/v1/user/', { body: { email: 'mallory@example.com' }, note: 'an address that is taken' }),
  call('anonymous', 'PUT /api/v1/user/', { body: { company: 'Acme' } }),
  call('user', 'PUT /api/v1/user/', {
    body: { company: 'Other' },
    headers: { 'x-csrf-token': 'wrong' },
    note: 'with a wrong CSRF token',
  }),

  call('user', 'POST /api/v1/user/clientkey', { body: { password } }),
  call('stranger', 'POST /api/v1/user/clientkey', { body: { password: 'not-the-password' }, note: 'a wrong password' }),
  call('anonymous', 'POST /api/v1/user/clientkey', { body: { password } }),

  call('anonymous', 'GET /api/v1/users/alice'),
  call('stranger', 'GET /api/v1/users/alice'),
  call('anonymous', 'GET /api/v1/users/nobody'),

  call('user', 'POST /api/v1/signin/verify', { body: { password } }),
  call('admin', 'POST /api/v1/signin/verify', { body: { password: 'not-the-password' }, note: 'a wrong password' }),
  call('anonymous', 'POST /api/v1/signin/verify', { body: { password } }),
  call('user', 'POST /api/v1/signout'),
  call('user', 'GET /api/v1/user/', { note: 'after signing out' }),
  call('anonymous', 'POST /api/v1/signin', {
    body: { username: 'nobody', password },
    note: 'a name that is not there',
  }),
  call('anonymous', 'POST /api/v1/signin', { body: { username: 'alice' }, note: 'without a password' }),
  call('user', 'POST /api/v1/signin', { body: { username: 'alice', password } }),
  call('anonymous', 'POST /api/v1/signin', {
    body: { username: 'alice', password: 'wrong' },
    note: 'a wrong password',
  }),
  call('anonymous', 'POST /api/v1/signout'),
  call('anonymous', 'GET /csrf_token'),

  call('user', 'GET /api/v1/user/notifications'),
  call('user', 'GET /api/v1/user/authorizations'),
  call('admin', 'GET /api/v1/user/authorizations', { keep: { authorization: at('authorizations', 0, 'uuid') } }),
  call('admin', 'GET /api/v1/user/authorizations/{authorization}'),
  call('user', 'GET /api/v1/user/authorizations/{authorization}', { note: 'of another' }),
  call('anonymous', 'GET /api/v1/user/authorizations'),
]

/** What ends users, at the end. */
export const endsOfUsers: readonly Case[] = [
  call('admin', 'DELETE /api/v1/user/authorizations/00000000-0000-0000-0000-000000000000'),
  call('anonymous', 'POST /api/v1/user/convert', { body: { adminUser: 'admin', adminPassword: password } }),
  call('stranger', 'POST /api/v1/user/convert', {
    body: { adminUser: 'mallory', adminPassword: password },
    note: 'administered by oneself',
  }),
  call('stranger', 'POST /api/v1/user/convert', { body: { adminUser: 'admin' }, note: 'without a password' }),
  call('stranger', 'POST /api/v1/user/convert', { body: { adminUser: 'admin', adminPassword: password } }),
  call('admin', 'GET /api/v1/organization/mallory', { note: 'that was a user' }),
  call('user', 'PUT /api/v1/user/', { body: { password: `${password}-again` }, note: 'a password' }),
  call('user', 'GET /api/v1/user/', { note: 'with a new password' }),
  call('anonymous', 'DELETE /api/v1/user/'),
  call('user', 'DELETE /api/v1/user/'),
  call('user', 'GET /api/v1/user/', { note: 'after its end' }),
  call('admin', 'DELETE /api/v1/user/authorizations/{authorization}'),
  call('token', 'GET /api/v1/user/', { note: 'revoked' }),
]
