import { call, type Case } from './case.ts'

const made = '/api/v1/repository/alice/made'
const app = '/api/v1/repository/acme/app'
const nowhere = '/api/v1/repository/alice/nowhere'
const readers = ['anonymous', 'stranger', 'user', 'token'] as const

/** Repositories and who may do what in them. */
export const repositories: readonly Case[] = [
  ...creations(),
  ...readers.map(as => call(as, `GET ${made}`)),
  call('user', `GET ${made}?includeTags=false&includeStats=true`),
  ...readers.map(as => call(as, `GET ${nowhere}`)),
  ...lists(),
  call('user', `PUT ${made}`, { body: { description: 'Another' } }),
  call('user', `PUT ${made}`, { body: {}, note: 'without a description' }),
  call('stranger', `PUT ${made}`, { body: { description: 'Another' } }),
  call('anonymous', `PUT ${made}`, { body: { description: 'Another' } }),
  call('user', `PUT ${nowhere}`, { body: { description: 'Another' } }),
  ...permissions(),
  call('user', `POST ${made}/changevisibility`, { body: { visibility: 'public' } }),
  call('user', `POST ${made}/changevisibility`, { body: { visibility: 'secret' }, note: 'a wrong word' }),
  call('stranger', `POST ${made}/changevisibility`, { body: { visibility: 'private' } }),
  call('anonymous', `POST ${made}/changevisibility`, { body: { visibility: 'private' } }),
  call('user', `POST ${nowhere}/changevisibility`, { body: { visibility: 'public' } }),
  ...readers.map(as => call(as, `GET ${made}`, { note: 'public' })),
  call('stranger', `PUT ${made}`, { body: { description: 'Another' }, note: 'public' }),
  ...lists('with a public one'),
  ...stars(),
  call('user', `PUT ${made}/changestate`, { body: { state: 'READ_ONLY' } }),
  call('user', `GET ${made}`, { note: 'read-only' }),
  call('user', `PUT ${made}/changestate`, { body: { state: 'SLEEPING' }, note: 'a wrong word' }),
  call('user', `PUT ${made}/changestate`, { body: { state: 'NORMAL' }, note: 'back' }),
  call('stranger', `PUT ${made}/changestate`, { body: { state: 'NORMAL' } }),
]

/** What ends repositories, at the end. */
export const endsOfRepositories: readonly Case[] = [
  call('stranger', `DELETE ${app}`),
  call('anonymous', `DELETE ${app}`),
  call('user', `DELETE ${app}`),
  call('user', `DELETE ${app}`, { note: 'again' }),
  call('user', `GET ${app}`, { note: 'after its end' }),
]

function creations(): Case[] {
  const create = 'POST /api/v1/repository'
  const repository = { namespace: 'alice', repository: 'made', visibility: 'private', description: 'It was made' }
  return [
    call('user', create, { body: repository }),
    call('user', create, { body: repository, note: 'again' }),
    call('user', create, { body: { ...repository, namespace: 'acme', repository: 'app' }, note: 'of an organization' }),
    call('user', create, {
      body: { repository: 'mine', visibility: 'public', description: '' },
      note: 'in no namespace',
    }),
    call('user', create, { body: { ...repository, repository: 'deep/name' }, note: 'a name with slashes' }),
    call('user', create, { body: { ...repository, repository: 'No Name' }, note: 'a wrong name' }),
    call('user', create, {
      body: { ...repository, repository: 'other', visibility: 'secret' },
      note: 'a wrong visibility',
    }),
    call('user', create, { body: { repository: 'other', visibility: 'public' }, note: 'without a description' }),
    call('user', create, { body: { ...repository, namespace: 'nowhere' }, note: 'in no one’s namespace' }),
    call('stranger', create, { body: { ...repository, namespace: 'acme', repository: 'theirs' } }),
    call('anonymous', create, { body: { ...repository, repository: 'theirs' } }),
    call('token', create, { body: { ...repository, namespace: 'other', repository: 'tokens' } }),
  ]
}

function lists(note?: string): Case[] {
  const options = note === undefined ? {} : { note }
  return [
    ...readers.map(as => call(as, 'GET /api/v1/repository?namespace=alice', options)),
    ...readers.map(as => call(as, 'GET /api/v1/repository?public=true', options)),
    ...readers.map(as => call(as, 'GET /api/v1/repository?starred=true', options)),
    call('user', 'GET /api/v1/repository?namespace=alice&last_modified=true&popularity=true', options),
    call('user', 'GET /api/v1/repository?namespace=nowhere', options),
    call('user', 'GET /api/v1/repository', options),
    call('user', 'GET /api/v1/repository?namespace=alice&next_page=wrong', options),
  ]
}

function permissions(): Case[] {
  const users = `${app}/permissions/user`
  const teams = `${app}/permissions/team`
  return [
    ...readers.map(as => call(as, `GET ${users}/`)),
    ...readers.map(as => call(as, `GET ${teams}/`)),
    call('user', `PUT ${users}/mallory`, { body: { role: 'read' } }),
    call('user', `PUT ${users}/acme+builder`, { body: { role: 'write' }, note: 'a robot' }),
    call('user', `PUT ${users}/nobody`, { body: { role: 'read' } }),
    call('user', `PUT ${users}/mallory`, { body: { role: 'king' }, note: 'a wrong role' }),
    call('user', `PUT ${users}/mallory`, { body: {}, note: 'without a role' }),
    call('stranger', `PUT ${users}/mallory`, { body: { role: 'admin' } }),
    call('anonymous', `PUT ${users}/mallory`, { body: { role: 'admin' } }),
    call('user', `PUT ${made}/permissions/user/alice`, { body: { role: 'read' }, note: 'the owner' }),
    call('user', `PUT ${made}/permissions/user/mallory`, { body: { role: 'read' } }),
    call('user', `GET ${made}/permissions/user/`),
    call('stranger', `GET ${made}`, { note: 'as a reader' }),
    call('stranger', `PUT ${made}`, { body: { description: 'x' }, note: 'as a reader' }),
    call('user', `DELETE ${made}/permissions/user/mallory`),
    call('user', `GET ${users}/`, { note: 'with two' }),
    call('user', `GET ${users}/mallory`),
    call('user', `GET ${users}/alice`),
    call('user', `GET ${users}/nobody`),
    call('user', `GET ${users}/mallory/transitive`),
    call('user', `GET ${users}/alice/transitive`),
    call('user', `GET ${users}/nobody/transitive`),
    call('user', 'GET /api/v1/organization/acme/collaborators', { note: 'with one' }),
    call('user', 'GET /api/v1/organization/acme/robots/builder/permissions', { note: 'with one' }),
    call('user', 'GET /api/v1/organization/acme/robots?permissions=true', { note: 'with one' }),
    call('user', `PUT ${teams}/developers`, { body: { role: 'write' } }),
    call('user', `PUT ${teams}/nobodies`, { body: { role: 'write' } }),
    call('user', `PUT ${made}/permissions/team/developers`, { body: { role: 'write' }, note: 'of no organization' }),
    call('user', `GET ${teams}/`, { note: 'with one' }),
    call('user', `GET ${teams}/developers`),
    call('user', `GET ${teams}/nobodies`),
    call('user', 'GET /api/v1/organization/acme/team/developers/permissions', { note: 'with one' }),
    call('stranger', `GET ${app}`, { note: 'as a reader' }),
    call('stranger', `DELETE ${users}/mallory`),
    call('user', `DELETE ${users}/mallory`),
    call('user', `DELETE ${users}/mallory`, { note: 'again' }),
    call('user', `DELETE ${teams}/developers`),
    call('user', `DELETE ${teams}/developers`, { note: 'again' }),
  ]
}

function stars(): Case[] {
  const starred = '/api/v1/user/starred'
  return [
    call('stranger', `POST ${starred}`, { body: { namespace: 'alice', repository: 'made' } }),
    call('stranger', `POST ${starred}`, { body: { namespace: 'alice', repository: 'made' }, note: 'again' }),
    call('stranger', `POST ${starred}`, { body: { namespace: 'acme', repository: 'app' }, note: 'a private one' }),
    call('user', `POST ${starred}`, { body: { namespace: 'alice', repository: 'nowhere' }, note: 'that is not there' }),
    call('user', `POST ${starred}`, { body: { namespace: 'alice' }, note: 'without a name' }),
    call('anonymous', `POST ${starred}`, { body: { namespace: 'alice', repository: 'made' } }),
    call('stranger', `GET ${starred}`),
    call('stranger', 'GET /api/v1/repository?starred=true', { note: 'one' }),
    call('anonymous', `GET ${starred}`),
    call('stranger', `DELETE ${starred}/alice/made`),
    call('stranger', `DELETE ${starred}/alice/made`, { note: 'again' }),
    call('anonymous', `DELETE ${starred}/alice/made`),
  ]
}
