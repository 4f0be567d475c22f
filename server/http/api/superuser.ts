import { Type } from 'typebox'
import type { ManagedUser } from '../../accounts/superuser.ts'
import { isUuid } from '../../accounts/uuid.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { byNumber, nextPage, pageFrom, pageOf, pageQuery } from './pages.ts'
import { avatar, avatarOf, rfc2822 } from './views.ts'

const userFields = {
  kind: Type.Literal('user'),
  name: Type.String(),
  username: Type.String(),
  email: Type.String(),
  verified: Type.Boolean(),
  avatar,
  super_user: Type.Boolean(),
  global_readonly_super_user: Type.Boolean(),
  enabled: Type.Boolean(),
}
const userView = Type.Object(userFields)
const changedUserView = Type.Object({ ...userFields, encrypted_password: Type.Optional(Type.String()) })

const organizationView = Type.Object({ name: Type.String(), email: Type.String(), avatar })

const tags = ['superuser']
const nothing = Type.Null({ description: 'Done' })
const username = Type.Object({ username: Type.String() })
const organization = Type.Object({ name: Type.String() })

/** What superusers do with the users and the organizations of the registry (quay.io's API, `/superuser/`). */
export function superuserRoutes(app: ApiInstance, options: RouteOptions): void {
  userListRoutes(app, options)
  userRoutes(app, options)
  organizationRoutes(app, options)
  tokenRoutes(app, options)
}

function userListRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.get(
    '/api/v1/superuser/users',
    {
      config: { api: { for: 'superuser' } },
      schema: {
        summary: 'The users of this registry',
        tags,
        querystring: Type.Object({
          disabled: Type.Optional(
            Type.Boolean({ description: 'Whether disabled users are among them; true when left out' }),
          ),
          ...pageQuery,
        }),
        response: { 200: Type.Object({ users: Type.Array(userView), next_page: nextPage }) },
      },
    },
    async request => {
      const page = pageOf(request.query, byNumber)
      const { disabled = true } = request.query
      const found = await accounts.superuser.users({ after: page.after, limit: page.limit + 1, disabled })
      const { rows, next } = pageFrom(found, page)
      return { users: rows.map(viewOf), ...next }
    },
  )

  app.post(
    '/api/v1/superuser/users',
    {
      config: { api: { for: 'superuser', fresh: true } },
      schema: {
        summary: 'Make a user with a password that is made up',
        tags,
        body: Type.Object({ username: Type.String(), email: Type.Optional(Type.String()) }),
        response: {
          200: Type.Object({
            username: Type.String(),
            email: Type.Union([Type.String(), Type.Null()]),
            password: Type.String(),
            encrypted_password: Type.String(),
          }),
        },
      },
    },
    async request => {
      const { username, email } = request.body
      const password = await accounts.superuser.createUser({ username, email })
      const encrypted = accounts.users.encryptPassword(password)
      return { username, email: email ?? null, password, encrypted_password: encrypted }
    },
  )
}

function userRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.get(
    '/api/v1/superuser/users/:username',
    {
      config: { api: { for: 'superuser' } },
      schema: { summary: 'A user', tags, params: username, response: { 200: userView } },
    },
    async request => viewOf(await accounts.superuser.user(request.params.username)),
  )

  app.put(
    '/api/v1/superuser/users/:username',
    {
      config: { api: { for: 'superuser', fresh: true } },
      schema: {
        summary: 'Give a user who is no superuser another password or e-mail address, disable or enable one',
        tags,
        params: username,
        body: Type.Object({
          password: Type.Optional(Type.String()),
          email: Type.Optional(Type.String()),
          enabled: Type.Optional(Type.Boolean()),
        }),
        response: { 200: changedUserView },
      },
    },
    async request => {
      const { password, email, enabled } = request.body
      await accounts.superuser.requireOrdinary(request.params.username, 'update')
      const user = await accounts.superuser.changeUser(request.params.username, { password, email, enabled })
      return {
        ...viewOf(user),
        ...(password === undefined ? {} : { encrypted_password: accounts.users.encryptPassword(password) }),
      }
    },
  )

  app.delete(
    '/api/v1/superuser/users/:username',
    {
      config: { api: { for: 'superuser', fresh: true } },
      schema: {
        summary: 'End a user who is no superuser, with all that is the user’s',
        tags,
        params: username,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      await accounts.superuser.requireOrdinary(request.params.username, 'delete')
      await accounts.superuser.removeUser(request.params.username)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/api/v1/superusers/users/:username/sendrecovery',
    {
      config: { api: { for: 'superuser', fresh: true } },
      schema: {
        summary:
          'Make a code by which a user who is no superuser sets a new password (PUT /api/v1/recovery), to be handed over',
        tags,
        params: username,
        response: {
          200: Type.Object({ email: Type.String(), code: Type.String(), expiration: Type.String() }),
        },
      },
    },
    async request => {
      await accounts.superuser.requireOrdinary(request.params.username, 'send a recovery email for')
      const { email, code, expiresAt } = await accounts.recovery.createCode(request.params.username)
      return { email: email ?? '', code, expiration: rfc2822(expiresAt) ?? '' }
    },
  )
}

function organizationRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.get(
    '/api/v1/superuser/organizations',
    {
      config: { api: { for: 'superuser' } },
      schema: {
        summary: 'The organizations of this registry',
        tags,
        querystring: Type.Object(pageQuery),
        response: { 200: Type.Object({ organizations: Type.Array(organizationView), next_page: nextPage }) },
      },
    },
    async request => {
      const page = pageOf(request.query, byNumber)
      const found = await accounts.superuser.organizations({ after: page.after, limit: page.limit + 1 })
      const { rows, next } = pageFrom(found, page)
      return { organizations: rows.map(organizationViewOf), ...next }
    },
  )

  app.put(
    '/api/v1/superuser/organizations/:name',
    {
      config: { api: { for: 'superuser', fresh: true } },
      schema: {
        summary: 'Give an organization another name, and its repositories and robots with it',
        tags,
        params: organization,
        body: Type.Object({ name: Type.String() }),
        response: { 200: organizationView },
      },
    },
    async request =>
      organizationViewOf(await accounts.superuser.renameOrganization(request.params.name, request.body.name)),
  )

  app.delete(
    '/api/v1/superuser/organizations/:name',
    {
      config: { api: { for: 'superuser', fresh: true } },
      schema: { summary: 'End an organization', tags, params: organization, response: { 204: nothing } },
    },
    async (request, reply) => {
      await accounts.superuser.removeOrganization(request.params.name)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/api/v1/superuser/takeownership/:namespace',
    {
      config: { api: { for: 'superuser', fresh: true } },
      schema: {
        summary: 'Become an admin of an organization; a user turns into one',
        tags,
        params: Type.Object({ namespace: Type.String() }),
        response: { 200: Type.Object({ namespace: Type.String() }) },
      },
    },
    async request => {
      const { namespace } = request.params
      await accounts.superuser.takeOwnership(namespace, accountOf(request))
      return { namespace }
    },
  )
}

const byUuid = { first: '00000000-0000-0000-0000-000000000000', isId: isUuidText }

function isUuidText(value: unknown): value is string {
  return typeof value === 'string' && isUuid(value)
}

function tokenRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  const moment = Type.Union([Type.String(), Type.Null()])
  const token = Type.Object({
    uuid: Type.String(),
    title: Type.String(),
    username: Type.String(),
    created: moment,
    last_accessed: moment,
    expiration: moment,
  })
  app.get(
    '/api/v1/superuser/apptokens',
    {
      config: { api: { for: 'superuser' } },
      schema: {
        summary: 'The application-specific tokens of all users, without what they are shown by',
        tags,
        querystring: Type.Object(pageQuery),
        response: { 200: Type.Object({ tokens: Type.Array(token), next_page: nextPage }) },
      },
    },
    async request => {
      const page = pageOf(request.query, byUuid)
      const found = await accounts.superuser.appTokens({ after: page.after, limit: page.limit + 1 })
      const { rows, next } = pageFrom(found, page)
      const tokens = rows.map(({ id, title, username, created_at, last_accessed_at, expires_at }) => ({
        uuid: id,
        title,
        username,
        created: rfc2822(created_at),
        last_accessed: rfc2822(last_accessed_at),
        expiration: rfc2822(expires_at),
      }))
      return { tokens, ...next }
    },
  )
}

function viewOf({ name, email, verified, enabled, power }: ManagedUser) {
  return {
    kind: 'user' as const,
    name,
    username: name,
    email: email ?? '',
    verified,
    avatar: avatarOf(name, 'user'),
    super_user: power === 'superuser',
    global_readonly_super_user: power === 'reader',
    enabled,
  }
}

function organizationViewOf({ name, email }: { name: string; email: string | null }) {
  return { name, email: email ?? '', avatar: avatarOf(name, 'org') }
}
