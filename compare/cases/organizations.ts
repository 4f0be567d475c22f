import { at, call, type Case } from './case.ts'

const acme = '/api/v1/organization/acme'
const readers = ['anonymous', 'stranger', 'user', 'token'] as const

/** Organizations, their teams, members, default permissions and robots, and robots of users. */
export const organizations: readonly Case[] = [
  call('user', 'POST /api/v1/organization/', { body: { name: 'acme', email: 'acme@example.com' } }),
  call('token', 'POST /api/v1/organization/', { body: { name: 'other', email: 'other@example.com' } }),
  call('anonymous', 'POST /api/v1/organization/', { body: { name: 'third', email: 'third@example.com' } }),
  call('user', 'POST /api/v1/organization/', {
    body: { name: 'acme', email: 'b@example.com' },
    note: 'a name that is taken',
  }),
  call('user', 'POST /api/v1/organization/', {
    body: { name: 'mallory', email: 'b@example.com' },
    note: 'the name of a user',
  }),
  call('user', 'POST /api/v1/organization/', {
    body: { name: 'No Name', email: 'b@example.com' },
    note: 'a wrong name',
  }),
  call('user', 'POST /api/v1/organization/', { body: { email: 'b@example.com' }, note: 'without a name' }),

  ...readers.map(as => call(as, `GET ${acme}`)),
  call('user', 'GET /api/v1/organization/nowhere'),
  call('user', `PUT ${acme}`, {
    body: { contact_email: 'new@example.com', invoice_email: true, tag_expiration_s: 86400 },
  }),
  call('user', `PUT ${acme}`, { body: { tag_expiration_s: -1 }, note: 'an expiration below zero' }),
  call('stranger', `PUT ${acme}`, { body: { contact_email: 'new@example.com' } }),
  call('anonymous', `PUT ${acme}`, { body: { contact_email: 'new@example.com' } }),
  call('user', 'PUT /api/v1/organization/nowhere', { body: { contact_email: 'new@example.com' } }),

  ...teams(),
  ...robots('/api/v1/user/robots', 'of a user'),
  ...robots(`${acme}/robots`, 'of an organization'),
  ...prototypes(),

  ...readers.map(as => call(as, `GET ${acme}/members`)),
  call('user', `GET ${acme}/members/alice`),
  call('user', `GET ${acme}/members/mallory`, { note: 'who is none' }),
  call('user', `GET ${acme}/members/nobody`),
  ...readers.map(as => call(as, `GET ${acme}/collaborators`)),
]

/** What ends an organization, at the end. */
export const endsOfOrganizations: readonly Case[] = [
  call('stranger', `DELETE ${acme}/members/alice`),
  call('user', `DELETE ${acme}/members/nobody`),
  call('user', `DELETE ${acme}/members/admin`),
  call('stranger', `DELETE ${acme}`),
  call('anonymous', `DELETE ${acme}`),
  call('user', 'DELETE /api/v1/organization/nowhere'),
  call('user', `DELETE ${acme}`),
  call('user', `GET ${acme}`, { note: 'after its end' }),
]

function teams(): Case[] {
  const team = `${acme}/team/developers`
  return [
    call('user', `PUT ${team}`, { body: { role: 'member', description: 'They make it' } }),
    call('user', `PUT ${team}`, { body: { role: 'creator' }, note: 'again' }),
    call('user', `PUT ${team}`, { body: { role: 'king' }, note: 'a wrong role' }),
    call('user', `PUT ${team}`, { body: { description: 'x' }, note: 'without a role' }),
    call('user', `PUT ${acme}/team/No-Team`, { body: { role: 'member' }, note: 'a wrong name' }),
    call('stranger', `PUT ${team}`, { body: { role: 'member' } }),
    call('anonymous', `PUT ${team}`, { body: { role: 'member' } }),

    call('user', `PUT ${team}/members/mallory`),
    call('user', `PUT ${team}/members/alice`),
    call('user', `PUT ${team}/members/nobody`),
    call('user', `PUT ${acme}/team/nobodies/members/alice`),
    call('stranger', `PUT ${team}/members/mallory`),
    ...readers.map(as => call(as, `GET ${team}/members`)),
    call('user', `GET ${team}/members?includePending=true`),
    call('user', `GET ${acme}/team/nobodies/members`),
    call('stranger', 'PUT /api/v1/teaminvite/NOTHING'),
    call('stranger', 'DELETE /api/v1/teaminvite/NOTHING'),
    call('anonymous', 'PUT /api/v1/teaminvite/NOTHING'),
    call('user', `GET ${acme}/members/mallory`),
    call('stranger', `GET ${acme}`, { note: 'as a member' }),
    call('stranger', `GET ${team}/members`, { note: 'as a member' }),
    call('user', `GET ${team}/permissions`, { note: 'none' }),
    call('user', `DELETE ${team}/members/mallory`),
    call('user', `DELETE ${team}/members/mallory`, { note: 'again' }),
    call('stranger', `DELETE ${team}/members/alice`),
    call('user', `DELETE ${acme}/members/mallory`, { note: 'who is none' }),
    call('user', `PUT ${acme}/team/short`, { body: { role: 'member' } }),
    call('user', `DELETE ${acme}/team/short`),
    call('user', `DELETE ${acme}/team/short`, { note: 'again' }),
    call('user', `DELETE ${acme}/team/owners`, { note: 'the last that administers' }),
    call('stranger', `DELETE ${team}`),
  ]
}

function robots(base: string, of: string): Case[] {
  const robot = `${base}/builder`
  const keep = { robot_name: at('name'), robot_token: at('token') }
  return [
    call('user', `PUT ${robot}`, {
      body: { description: 'Builds', unstructured_metadata: { a: 'b' } },
      note: of,
      keep,
    }),
    call('user', `PUT ${robot}`, { body: {}, note: `${of}, again` }),
    call('user', `PUT ${base}/plain`, { body: {} }),
    call('user', `PUT ${base}/bare`, { note: 'without a body' }),
    call('user', `PUT ${base}/No%20Name`, { body: {}, note: 'a wrong name' }),
    call('user', `PUT ${base}/wordy`, { body: { description: 'x'.repeat(256) }, note: 'a long description' }),
    call('anonymous', `PUT ${robot}`, { body: {} }),
    call('user', `GET ${base}`),
    call('user', `GET ${base}?permissions=true&token=false`),
    call('user', `GET ${base}?limit=1`),
    call('stranger', `GET ${base}`),
    call('anonymous', `GET ${base}`),
    call('user', `GET ${robot}`),
    call('stranger', `GET ${robot}`),
    call('user', `GET ${base}/nobody`),
    call('user', `GET ${robot}/permissions`),
    call('user', `GET ${base}/nobody/permissions`),
    call('user', `POST ${robot}/regenerate`, { keep }),
    call('user', `POST ${base}/nobody/regenerate`),
    call('anonymous', `POST ${robot}/regenerate`),
    call('user', `DELETE ${base}/plain`),
    call('user', `DELETE ${base}/plain`, { note: 'again' }),
    call('stranger', `DELETE ${robot}`),
    call('robot', 'GET /api/v1/user/', { note: of }),
  ]
}

function prototypes(): Case[] {
  const base = `${acme}/prototypes`
  const team = { name: 'developers', kind: 'team' }
  const robot = { name: 'acme+builder', kind: 'user' }
  return [
    call('user', `POST ${base}`, { body: { role: 'read', delegate: team }, keep: { prototype: at('id') } }),
    call('user', `POST ${base}`, {
      body: { role: 'write', activating_user: { name: 'alice' }, delegate: robot },
      note: 'of a user for a robot',
    }),
    call('user', `POST ${base}`, { body: { role: 'king', delegate: team }, note: 'a wrong role' }),
    call('user', `POST ${base}`, { body: { role: 'read' }, note: 'for no one' }),
    call('user', `POST ${base}`, {
      body: { role: 'read', delegate: { name: 'nobody', kind: 'user' } },
      note: 'for nobody',
    }),
    call('user', `POST ${base}`, {
      body: { role: 'read', activating_user: { name: 'nobody' }, delegate: team },
      note: 'of nobody',
    }),
    call('stranger', `POST ${base}`, { body: { role: 'read', delegate: team } }),
    ...readers.map(as => call(as, `GET ${base}`)),
    call('user', `PUT ${base}/{prototype}`, { body: { role: 'write' } }),
    call('user', `PUT ${base}/{prototype}`, { body: { role: 'king' }, note: 'a wrong role' }),
    call('user', `PUT ${base}/00000000-0000-0000-0000-000000000000`, { body: { role: 'write' } }),
    call('stranger', `PUT ${base}/{prototype}`, { body: { role: 'write' } }),
    call('stranger', `DELETE ${base}/{prototype}`),
    call('user', `DELETE ${base}/{prototype}`),
    call('user', `DELETE ${base}/{prototype}`, { note: 'again' }),
  ]
}
