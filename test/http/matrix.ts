/**
 * Who may use which route of a registry with accounts: a row for each route, whatever the routes themselves say. `acme` is
 * an organization with the private repository `acme/app`.
 */

/** Everyone whom a request may come from, and what they are. */
export const people = {
  anonymous: 'says nothing of itself',
  stranger: 'a user who has nothing to do with acme',
  reader: 'a user who may read acme/app',
  writer: 'a user who may write to acme/app',
  admin: 'a user who administers acme/app',
  member: 'a member of a team of acme that may read acme/app',
  owner: 'an owner of acme',
  superuser: 'a superuser, without full access',
  fullSuperuser: 'a superuser of a registry where superusers have full access',
  watcher: 'a read-only superuser',
  readRobot: 'a robot of acme that may read acme/app',
  writeRobot: 'a robot of acme that may write to acme/app',
  adminRobot: 'a robot of acme that administers acme/app',
} as const
export type Person = keyof typeof people

/** Those whose credentials are not, or no longer, good. Nothing is theirs, not even what is everyone's. */
export const impostors = ['disabled', 'expired', 'tampered', 'otherService', 'noSignature', 'unknown'] as const

const robots: readonly Person[] = ['readRobot', 'writeRobot', 'adminRobot']
const users: readonly Person[] = [
  'stranger',
  'reader',
  'writer',
  'admin',
  'member',
  'owner',
  'superuser',
  'fullSuperuser',
  'watcher',
]

const readers: readonly Person[] = ['reader', 'writer', 'admin', 'member', 'owner', 'fullSuperuser', 'watcher']
const writers: readonly Person[] = ['writer', 'admin', 'owner', 'fullSuperuser']
const admins: readonly Person[] = ['admin', 'owner', 'fullSuperuser']

/** Classes of routes by who may use them. */
export const classes = {
  everyone: ['anonymous', ...users],
  users,
  /** Those of them who may change what is theirs. */
  usersChanging: users.filter(user => user !== 'watcher'),
  readers,
  writers,
  admins,
  /** Reading what only admins read. */
  adminsReading: [...admins, 'watcher'],
  members: ['member', 'owner', 'fullSuperuser', 'watcher'],
  owners: ['owner', 'fullSuperuser'],
  ownersReading: ['owner', 'fullSuperuser', 'watcher'],
  superusers: ['superuser', 'fullSuperuser'],
  superusersReading: ['superuser', 'fullSuperuser', 'watcher'],
  /** Of the registry's own API, where robots are people too. */
  known: [...users, ...robots],
  pullers: [...readers, ...robots],
  pushers: [...writers, 'writeRobot', 'adminRobot'],
  /** With the answer of the catalog filtered for each. */
  catalog: ['anonymous', ...users, ...robots],
} as const satisfies Record<string, readonly Person[]>

export interface Row {
  route: string
  /** What is asked for: things that are not there where the request would change something. */
  path: string
  for: keyof typeof classes
  /** An OAuth application or the token service: the route looks at credentials of its own. */
  own?: boolean
  /** To do it would take away what the other rows need: those who may are left out. */
  destroys?: boolean
}

const organization = '/api/v1/organization/acme'
const repository = '/api/v1/repository/acme/app'
const none = '00000000-0000-0000-0000-000000000000'
const digest = `sha256:${'0'.repeat(64)}`

function row(route: string, path: string, who: Row['for'], more: Pick<Row, 'own' | 'destroys'> = {}): Row {
  return { route, path, for: who, ...more }
}

/** Rows of one path with several methods. */
function rows(route: string, path: string, by: Readonly<Record<string, Row['for']>>): Row[] {
  return Object.entries(by).map(([method, who]) => row(`${method} ${route}`, path, who))
}

const organizationRoute = '/api/v1/organization/:organization'
const repositoryRoute = '/api/v1/repository/:repository'

export const table: readonly Row[] = [
  ...['/', '/livez', '/readyz'].flatMap(path => [
    row(`GET ${path}`, path, 'everyone', { own: true }),
    row(`HEAD ${path}`, path, 'everyone', { own: true }),
  ]),

  row('GET /api/v1/discovery', '/api/v1/discovery', 'everyone'),
  row('GET /api/v1/error/:kind', '/api/v1/error/not_found', 'everyone'),
  row('POST /api/v1/signin', '/api/v1/signin', 'everyone'),
  row('POST /api/v1/signin/verify', '/api/v1/signin/verify', 'users'),
  row('POST /api/v1/signout', '/api/v1/signout', 'users'),
  row('PUT /api/v1/recovery', '/api/v1/recovery', 'everyone'),
  row('POST /api/v1/user/initialize', '/api/v1/user/initialize', 'everyone'),
  ...rows('/api/v1/user', '/api/v1/user/', { GET: 'users', PUT: 'users', POST: 'everyone' }),
  row('DELETE /api/v1/user', '/api/v1/user/', 'users', { destroys: true }),
  row('POST /api/v1/user/clientkey', '/api/v1/user/clientkey', 'users'),
  row('POST /api/v1/user/convert', '/api/v1/user/convert', 'users'),
  ...rows('/api/v1/user/apptoken', '/api/v1/user/apptoken', { GET: 'users', POST: 'users' }),
  ...rows('/api/v1/user/apptoken/:token', `/api/v1/user/apptoken/${none}`, { GET: 'users', DELETE: 'users' }),
  row('GET /api/v1/user/authorizations', '/api/v1/user/authorizations', 'users'),
  ...rows('/api/v1/user/authorizations/:authorization', `/api/v1/user/authorizations/${none}`, {
    GET: 'users',
    DELETE: 'users',
  }),
  row('GET /api/v1/user/notifications', '/api/v1/user/notifications', 'users'),
  row('GET /api/v1/user/robots', '/api/v1/user/robots', 'users'),
  ...rows('/api/v1/user/robots/:robot', '/api/v1/user/robots/none', {
    GET: 'users',
    PUT: 'usersChanging',
    DELETE: 'usersChanging',
  }),
  row('GET /api/v1/user/robots/:robot/permissions', '/api/v1/user/robots/none/permissions', 'users'),
  row('POST /api/v1/user/robots/:robot/regenerate', '/api/v1/user/robots/none/regenerate', 'usersChanging'),
  ...rows('/api/v1/user/starred', '/api/v1/user/starred', { GET: 'users', POST: 'users' }),
  row('DELETE /api/v1/user/starred/:repository', '/api/v1/user/starred/acme/none', 'users'),
  row('GET /api/v1/users/:username', '/api/v1/users/owner', 'everyone'),
  ...rows('/api/v1/teaminvite/:code', '/api/v1/teaminvite/none', {
    PUT: 'usersChanging',
    DELETE: 'usersChanging',
  }),
  row('GET /api/v1/entities/:prefix', '/api/v1/entities/own', 'users'),
  row('GET /api/v1/find/all', '/api/v1/find/all?query=app', 'everyone'),
  row('GET /api/v1/find/repositories', '/api/v1/find/repositories?query=app', 'everyone'),
  row('GET /api/v1/app/:clientId', '/api/v1/app/none', 'everyone'),
  row('GET /csrf_token', '/csrf_token', 'everyone', { own: true }),

  row('POST /api/v1/organization', '/api/v1/organization/', 'users'),
  row('GET /api/v1/organization/:organization', organization, 'everyone'),
  row('PUT /api/v1/organization/:organization', organization, 'owners'),
  row('DELETE /api/v1/organization/:organization', organization, 'owners', { destroys: true }),
  ...rows(`${organizationRoute}/applications`, `${organization}/applications`, {
    GET: 'ownersReading',
    POST: 'owners',
  }),
  ...rows(`${organizationRoute}/applications/:clientId`, `${organization}/applications/none`, {
    GET: 'ownersReading',
    PUT: 'owners',
    DELETE: 'owners',
  }),
  row(
    `POST ${organizationRoute}/applications/:clientId/resetclientsecret`,
    `${organization}/applications/none/resetclientsecret`,
    'owners',
  ),
  ...rows(`${organizationRoute}/applications/:clientId/tokens`, `${organization}/applications/none/tokens`, {
    GET: 'ownersReading',
    POST: 'owners',
  }),
  row(
    `DELETE ${organizationRoute}/applications/:clientId/tokens/:token`,
    `${organization}/applications/none/tokens/${none}`,
    'owners',
  ),
  ...rows(`${organizationRoute}/team/:team`, `${organization}/team/none`, { DELETE: 'owners' }),
  row(`PUT ${organizationRoute}/team/:team`, `${organization}/team/UPPER`, 'owners'),
  row(`GET ${organizationRoute}/team/:team/members`, `${organization}/team/readers/members`, 'members'),
  ...rows(`${organizationRoute}/team/:team/members/:member`, `${organization}/team/readers/members/none`, {
    PUT: 'owners',
    DELETE: 'owners',
  }),
  row(`GET ${organizationRoute}/team/:team/permissions`, `${organization}/team/readers/permissions`, 'ownersReading'),
  row(`GET ${organizationRoute}/collaborators`, `${organization}/collaborators`, 'ownersReading'),
  row(`GET ${organizationRoute}/members`, `${organization}/members`, 'ownersReading'),
  ...rows(`${organizationRoute}/members/:member`, `${organization}/members/none`, {
    GET: 'ownersReading',
    DELETE: 'owners',
  }),
  ...rows(`${organizationRoute}/prototypes`, `${organization}/prototypes`, { GET: 'ownersReading', POST: 'owners' }),
  ...rows(`${organizationRoute}/prototypes/:id`, `${organization}/prototypes/${none}`, {
    PUT: 'owners',
    DELETE: 'owners',
  }),
  row(`GET ${organizationRoute}/robots`, `${organization}/robots`, 'members'),
  ...rows(`${organizationRoute}/robots/:robot`, `${organization}/robots/none`, {
    GET: 'ownersReading',
    DELETE: 'owners',
  }),
  row(`PUT ${organizationRoute}/robots/:robot`, `${organization}/robots/UPPER`, 'owners'),
  row(`GET ${organizationRoute}/robots/:robot/permissions`, `${organization}/robots/none/permissions`, 'ownersReading'),
  row(`POST ${organizationRoute}/robots/:robot/regenerate`, `${organization}/robots/none/regenerate`, 'owners'),

  row('POST /api/v1/repository', '/api/v1/repository', 'users'),
  row('GET /api/v1/repository', '/api/v1/repository?public=true', 'everyone'),
  ...rows(repositoryRoute, repository, { GET: 'readers', PUT: 'writers' }),
  row(`DELETE ${repositoryRoute}`, repository, 'admins', { destroys: true }),
  row(`POST ${repositoryRoute}/changevisibility`, `${repository}/changevisibility`, 'admins'),
  row(`PUT ${repositoryRoute}/changestate`, `${repository}/changestate`, 'admins'),
  row(`GET ${repositoryRoute}/permissions/user`, `${repository}/permissions/user/`, 'adminsReading'),
  ...rows(`${repositoryRoute}/permissions/user/:user`, `${repository}/permissions/user/none`, {
    GET: 'adminsReading',
    PUT: 'admins',
    DELETE: 'admins',
  }),
  row(
    `GET ${repositoryRoute}/permissions/user/:user/transitive`,
    `${repository}/permissions/user/none/transitive`,
    'adminsReading',
  ),
  row(`GET ${repositoryRoute}/permissions/team`, `${repository}/permissions/team/`, 'adminsReading'),
  ...rows(`${repositoryRoute}/permissions/team/:team`, `${repository}/permissions/team/none`, {
    GET: 'adminsReading',
    PUT: 'admins',
    DELETE: 'admins',
  }),
  row(`GET ${repositoryRoute}/tag`, `${repository}/tag/`, 'readers'),
  ...rows(`${repositoryRoute}/tag/:tag`, `${repository}/tag/none`, { PUT: 'writers', DELETE: 'writers' }),
  row(`POST ${repositoryRoute}/tag/:tag/restore`, `${repository}/tag/none/restore`, 'writers'),
  row(`GET ${repositoryRoute}/manifest/:digest`, `${repository}/manifest/${digest}`, 'readers'),
  ...rows(`${repositoryRoute}/manifest/:digest/labels`, `${repository}/manifest/${digest}/labels`, {
    GET: 'readers',
    POST: 'writers',
  }),
  ...rows(`${repositoryRoute}/manifest/:digest/labels/:label`, `${repository}/manifest/${digest}/labels/${none}`, {
    GET: 'readers',
    DELETE: 'writers',
  }),

  ...rows('/api/v1/superuser/users', '/api/v1/superuser/users/', { GET: 'superusersReading', POST: 'superusers' }),
  ...rows('/api/v1/superuser/users/:username', '/api/v1/superuser/users/none', {
    GET: 'superusersReading',
    PUT: 'superusers',
    DELETE: 'superusers',
  }),
  row('GET /api/v1/superuser/organizations', '/api/v1/superuser/organizations/', 'superusersReading'),
  ...rows('/api/v1/superuser/organizations/:name', '/api/v1/superuser/organizations/none', {
    PUT: 'superusers',
    DELETE: 'superusers',
  }),
  row('POST /api/v1/superuser/takeownership/:namespace', '/api/v1/superuser/takeownership/none', 'superusers'),
  row('GET /api/v1/superuser/apptokens', '/api/v1/superuser/apptokens', 'superusersReading'),
  row(
    'POST /api/v1/superusers/users/:username/sendrecovery',
    '/api/v1/superusers/users/none/sendrecovery',
    'superusers',
  ),

  row('GET /oauth/authorize', '/oauth/authorize', 'everyone', { own: true }),
  row('POST /oauth/authorizeapp', '/oauth/authorizeapp', 'everyone', { own: true }),
  row('POST /oauth/denyapp', '/oauth/denyapp', 'everyone', { own: true }),
  row('POST /oauth/access_token', '/oauth/access_token', 'everyone', { own: true }),
  row('GET /oauth/localapp', '/oauth/localapp', 'everyone', { own: true }),

  ...rows('/v2/auth', '/v2/auth', { GET: 'everyone', POST: 'everyone' }).map(one => ({ ...one, own: true })),
  ...rows('/v2/', '/v2/', { GET: 'known', HEAD: 'known' }),
  ...rows('/v2/_catalog', '/v2/_catalog', { GET: 'catalog', HEAD: 'catalog' }),
  row('POST /v2/:name/uploads', `/v2/acme/app/blobs/uploads/?mount=${digest}&from=acme/none`, 'pushers'),
  ...rows('/v2/:name/blobs/uploads/:upload', `/v2/acme/app/blobs/uploads/${none}`, {
    GET: 'pushers',
    HEAD: 'pushers',
    PATCH: 'pushers',
    DELETE: 'pushers',
  }),
  row('PUT /v2/:name/blobs/uploads/:upload', `/v2/acme/app/blobs/uploads/${none}?digest=${digest}`, 'pushers'),
  ...rows('/v2/:name/blobs/:digest', `/v2/acme/app/blobs/${digest}`, {
    GET: 'pullers',
    HEAD: 'pullers',
    DELETE: 'pushers',
  }),
  ...rows('/v2/:name/manifests/:reference', '/v2/acme/app/manifests/none', {
    GET: 'pullers',
    HEAD: 'pullers',
    PUT: 'pushers',
    DELETE: 'pushers',
  }),
  ...rows('/v2/:name/tags/list', '/v2/acme/app/tags/list', { GET: 'pullers', HEAD: 'pullers' }),
  ...rows('/v2/:name/referrers/:digest', `/v2/acme/app/referrers/${digest}`, { GET: 'pullers', HEAD: 'pullers' }),
]
