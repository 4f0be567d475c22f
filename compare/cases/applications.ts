import { at, call, type Case } from './case.ts'

const base = '/api/v1/organization/acme/applications'
const one = `${base}/{client}`
const nothing = '00000000-0000-0000-0000-000000000000'
const readers = ['anonymous', 'stranger', 'user', 'token'] as const

/** OAuth applications with their tokens, and application-specific tokens. */
export const applications: readonly Case[] = [
  call('user', `POST ${base}`, { body: { name: 'builds', description: 'Builds' }, keep: { client: at('client_id') } }),
  call('user', `POST ${base}`, { body: { description: 'x' }, note: 'without a name' }),
  call('stranger', `POST ${base}`, { body: { name: 'theirs' } }),
  call('anonymous', `POST ${base}`, { body: { name: 'theirs' } }),
  ...readers.map(as => call(as, `GET ${base}`)),
  ...readers.map(as => call(as, `GET ${one}`)),
  call('user', `GET ${base}/NOTHING`),
  call('user', `PUT ${one}`, {
    body: { name: 'builds', redirect_uri: 'http://localhost/', application_uri: 'http://localhost/', description: 'x' },
  }),
  call('user', `PUT ${one}`, { body: { name: 'builds' }, note: 'without its addresses' }),
  call('stranger', `PUT ${one}`, { body: { name: 'builds', redirect_uri: '', application_uri: '' } }),
  call('user', `POST ${one}/resetclientsecret`),
  call('stranger', `POST ${one}/resetclientsecret`),
  call('anonymous', 'GET /api/v1/app/{client}'),
  call('anonymous', 'GET /api/v1/app/NOTHING'),
  ...tokens(),
  call('stranger', `DELETE ${one}`),
  call('user', `DELETE ${one}`),
  call('user', `DELETE ${one}`, { note: 'again' }),
  ...appTokens(),
]

function tokens(): Case[] {
  const body = { name: 'nightly', scope: 'repo:read repo:write' }
  return [
    call('user', `POST ${one}/tokens`, { body, keep: { made_token: at('token'), made_id: at('uuid') } }),
    call('user', `POST ${one}/tokens`, { body: { ...body, expiration: 3600 }, note: 'for an hour' }),
    call('user', `POST ${one}/tokens`, { body: { ...body, expiration: 0 }, note: 'for no time' }),
    call('user', `POST ${one}/tokens`, { body: { ...body, scope: 'repo:everything' }, note: 'a wrong scope' }),
    call('user', `POST ${one}/tokens`, { body: { ...body, scope: 'super:user' }, note: 'more than one may' }),
    call('user', `POST ${one}/tokens`, { body: { ...body, name: '' }, note: 'without a name' }),
    call('user', `POST ${one}/tokens`, { body: { name: 'nightly' }, note: 'without a scope' }),
    call('stranger', `POST ${one}/tokens`, { body }),
    ...readers.map(as => call(as, `GET ${one}/tokens`)),
    call('user', `GET ${base}/NOTHING/tokens`),
    ...[
      ['GET /api/v1/repository?namespace=alice', 'what it may'],
      ['GET /api/v1/user/', 'what it may not'],
      ['GET /api/v1/organization/acme', 'what is for everyone'],
      ['GET /api/v1/organization/acme/members', 'what it may not'],
      ['GET /api/v1/repository/alice/made', 'what it may'],
    ].map(([ask = '', note = '']) =>
      call('anonymous', ask, { headers: { authorization: 'Bearer {made_token}' }, note: `by a narrow token: ${note}` }),
    ),
    call('stranger', `DELETE ${one}/tokens/{made_id}`),
    call('user', `DELETE ${one}/tokens/{made_id}`),
    call('user', `DELETE ${one}/tokens/{made_id}`, { note: 'again' }),
    call('user', `DELETE ${one}/tokens/${nothing}`),
  ]
}

function appTokens(): Case[] {
  const base = '/api/v1/user/apptoken'
  return [
    call('user', `POST ${base}`, { body: { title: 'Laptop' }, keep: { app_token: at('token', 'uuid') } }),
    call('user', `POST ${base}`, { body: {}, note: 'without a title' }),
    call('user', `POST ${base}`, { body: { title: '' }, note: 'an empty title' }),
    call('anonymous', `POST ${base}`, { body: { title: 'Laptop' } }),
    call('user', `GET ${base}`),
    call('user', `GET ${base}?expiring=true`),
    call('anonymous', `GET ${base}`),
    call('user', `GET ${base}/{app_token}`),
    call('stranger', `GET ${base}/{app_token}`),
    call('user', `GET ${base}/${nothing}`),
    call('token', 'GET /api/v1/superuser/apptokens'),
    call('user', 'GET /api/v1/superuser/apptokens'),
    call('stranger', `DELETE ${base}/{app_token}`),
    call('user', `DELETE ${base}/{app_token}`),
    call('user', `DELETE ${base}/{app_token}`, { note: 'again' }),
  ]
}
