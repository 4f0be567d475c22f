import { call, type Case } from './case.ts'
import { password } from './people.ts'

const users = '/api/v1/superuser/users/'
const organizations = '/api/v1/superuser/organizations/'
const readers = ['anonymous', 'stranger', 'admin', 'token'] as const

/** What superusers do. */
export const superuser: readonly Case[] = [
  ...readers.map(as => call(as, `GET ${users}`)),
  call('token', `GET ${users}?limit=1`),
  call('token', `GET ${users}?disabled=false`),
  call('token', `POST ${users}`, { body: { username: 'bob', email: 'bob@example.com' } }),
  call('token', `POST ${users}`, { body: { username: 'carol' }, note: 'without an address' }),
  call('token', `POST ${users}`, { body: { username: 'bob', email: 'b@example.com' }, note: 'a name that is taken' }),
  call('token', `POST ${users}`, { body: { username: 'No Name', email: 'b@example.com' }, note: 'a wrong name' }),
  call('token', `POST ${users}`, { body: { email: 'b@example.com' }, note: 'without a name' }),
  call('stranger', `POST ${users}`, { body: { username: 'dave', email: 'dave@example.com' } }),
  ...readers.map(as => call(as, `GET ${users}bob`)),
  call('token', `GET ${users}nobody`),
  call('token', `PUT ${users}bob`, { body: { email: 'robert@example.com' } }),
  call('token', `PUT ${users}bob`, { body: { password }, note: 'a password' }),
  call('token', `PUT ${users}bob`, { body: { password: 'short' }, note: 'a short password' }),
  call('token', `PUT ${users}bob`, { body: { email: 'alice@example.com' }, note: 'an address that is taken' }),
  call('token', `PUT ${users}bob`, { body: { enabled: false }, note: 'disabled' }),
  call('anonymous', 'POST /api/v1/signin', { body: { username: 'bob', password }, note: 'disabled' }),
  call('token', `PUT ${users}bob`, { body: { enabled: true }, note: 'enabled' }),
  call('token', `PUT ${users}nobody`, { body: { enabled: true } }),
  call('token', `PUT ${users}admin`, { body: { email: 'root@example.com' }, note: 'a superuser' }),
  call('stranger', `PUT ${users}bob`, { body: { enabled: false } }),
  call('token', 'POST /api/v1/superusers/users/bob/sendrecovery'),
  call('stranger', 'POST /api/v1/superusers/users/bob/sendrecovery'),

  ...readers.map(as => call(as, `GET ${organizations}`)),
  call('token', `GET ${organizations}?limit=1`),
  call('token', `PUT ${organizations}other`, { body: { name: 'another' } }),
  call('token', `PUT ${organizations}another`, { body: { name: 'acme' }, note: 'a name that is taken' }),
  call('token', `PUT ${organizations}another`, { body: { name: 'No Name' }, note: 'a wrong name' }),
  call('token', `PUT ${organizations}nowhere`, { body: { name: 'elsewhere' } }),
  call('stranger', `PUT ${organizations}another`, { body: { name: 'theirs' } }),
  call('token', 'POST /api/v1/superuser/takeownership/acme'),
  call('token', 'POST /api/v1/superuser/takeownership/carol', { note: 'of a user' }),
  call('token', 'POST /api/v1/superuser/takeownership/nowhere'),
  call('stranger', 'POST /api/v1/superuser/takeownership/acme'),
  call('token', 'GET /api/v1/organization/carol', { note: 'that was a user' }),
  call('stranger', `DELETE ${organizations}another`),
  call('token', `DELETE ${organizations}another`),
  call('token', `DELETE ${organizations}another`, { note: 'again' }),
  call('stranger', `DELETE ${users}bob`),
  call('token', `DELETE ${users}admin`, { note: 'a superuser' }),
  call('token', `DELETE ${users}bob`),
  call('token', `DELETE ${users}bob`, { note: 'again' }),
]
