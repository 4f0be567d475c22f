import { Type } from 'typebox'
import type { Account } from '../../access/actor.ts'
import { hasScope } from '../../access/may.ts'
import { AccountError, notFound } from '../../accounts/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import { accountOf, sessionCookie, unauthenticated } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { beginSession, refuseOtherSites } from './sessions.ts'
import { avatar, avatarOf, problem, success } from './views.ts'

const textOrNull = Type.Union([Type.Null(), Type.String()])
/** Postgres takes no NUL in a text. */
const givenText = Type.Union([Type.Null(), Type.String({ maxLength: 255, pattern: '^[^\\u0000]*$' })])

/** Seconds that Postgres has room for. */
const longestExpiration = 2 ** 31 - 1

const organizationView = Type.Object({
  name: Type.String(),
  avatar,
  can_create_repo: Type.Boolean(),
  public: Type.Literal(false),
  is_org_admin: Type.Optional(Type.Boolean()),
  preferred_namespace: Type.Optional(Type.Boolean()),
})

const userView = Type.Object({
  anonymous: Type.Literal(false),
  username: Type.String(),
  avatar,
  organizations: Type.Array(organizationView),
  super_user: Type.Optional(Type.Literal(true)),
  global_readonly_super_user: Type.Optional(Type.Literal(true)),
  // From here on: not for a token that has the scope user:read alone.
  can_create_repo: Type.Optional(Type.Boolean()),
  is_me: Type.Optional(Type.Literal(true)),
  verified: Type.Optional(Type.Boolean()),
  email: Type.Optional(Type.String()),
  logins: Type.Optional(
    Type.Array(Type.Object({ service: Type.String(), service_identifier: Type.String(), metadata: Type.Object({}) })),
  ),
  invoice_email: Type.Optional(Type.Boolean()),
  invoice_email_address: Type.Optional(textOrNull),
  preferred_namespace: Type.Optional(Type.Boolean()),
  tag_expiration_s: Type.Optional(Type.Integer()),
  prompts: Type.Optional(Type.Array(Type.String())),
  company: Type.Optional(textOrNull),
  family_name: Type.Optional(textOrNull),
  given_name: Type.Optional(textOrNull),
  location: Type.Optional(textOrNull),
  is_free_account: Type.Optional(Type.Literal(true)),
  has_password_set: Type.Optional(Type.Boolean()),
})

const newUser = {
  username: Type.String(),
  password: Type.String(),
  email: Type.Optional(Type.String()),
}

const tags = ['user']

/** Users themselves (quay.io's API, `/user/`), and the first one of all. */
export function userRoutes(app: ApiInstance, options: RouteOptions): void {
  ownRoutes(app, options)
  newUserRoutes(app, options)
  otherRoutes(app, options)
}

function ownRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.get(
    '/api/v1/user',
    {
      config: { api: { for: 'user', scope: 'user:read' } },
      schema: { summary: 'The user who asks', tags, response: { 200: userView } },
    },
    async request => viewOf(accounts, accountOf(request)),
  )

  app.put(
    '/api/v1/user',
    {
      config: { api: { for: 'user', scope: 'user:admin', fresh: true } },
      schema: {
        summary: 'Change the user who asks; a new password ends all sessions but that of the request',
        tags,
        body: Type.Object({
          password: Type.Optional(Type.String()),
          email: Type.Optional(Type.String()),
          invoice_email: Type.Optional(Type.Boolean()),
          invoice_email_address: Type.Optional(givenText),
          tag_expiration_s: Type.Optional(Type.Integer({ minimum: 0, maximum: longestExpiration })),
          given_name: Type.Optional(givenText),
          family_name: Type.Optional(givenText),
          company: Type.Optional(givenText),
          location: Type.Optional(givenText),
        }),
        response: { 200: userView },
      },
    },
    async (request, reply) => {
      const account = accountOf(request)
      const { password, email, invoice_email, invoice_email_address, tag_expiration_s } = request.body
      const { given_name, family_name, company, location } = request.body
      const settings = { invoice_email, invoice_email_address, tag_expiration_s }
      const person = { given_name, family_name, company, location }
      await accounts.users.change(account, { password, email, ...settings, ...person })
      if (password !== undefined && request.session !== undefined)
        await beginSession(request, reply, { accounts, account })
      return viewOf(accounts, account)
    },
  )

  app.delete(
    '/api/v1/user',
    {
      config: { api: { for: 'user', scope: 'user:admin', fresh: true } },
      schema: {
        summary: 'End the user who asks, with all that is the user’s',
        tags,
        response: { 204: Type.Null({ description: 'Done' }) },
      },
    },
    async (request, reply) => {
      await accounts.users.remove(accountOf(request))
      return reply.clearCookie(sessionCookie, { path: '/' }).code(204).send(null)
    },
  )

  app.post(
    '/api/v1/user/clientkey',
    {
      config: { api: { for: 'user', scope: 'user:admin' } },
      schema: {
        summary: 'The password in an encrypted form, for files of clients',
        tags,
        body: Type.Object({ password: Type.String() }),
        response: { 200: Type.Object({ key: Type.String() }) },
      },
    },
    async request => {
      const { password } = request.body
      return { key: await accounts.users.clientKey(accountOf(request), password, request.ip) }
    },
  )

  app.post(
    '/api/v1/user/convert',
    {
      config: { api: { for: 'user', scope: 'user:admin', fresh: true } },
      schema: {
        summary: 'Turn the user who asks into an organization; its admin, another user, is signed in',
        tags,
        body: Type.Object({ adminUser: Type.String(), adminPassword: Type.String() }),
        response: { 200: success },
      },
    },
    async (request, reply) => {
      const admin = { name: request.body.adminUser, secret: request.body.adminPassword }
      const account = await accounts.users.convert(accountOf(request), admin, request.ip)
      await beginSession(request, reply, { accounts, account })
      return { success: true }
    },
  )
}

function newUserRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.post(
    '/api/v1/user',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'Make an account of one’s own and sign in (auth.accounts.usercreation)',
        tags,
        security: [],
        body: Type.Object(newUser),
        response: { 200: userView },
      },
    },
    async (request, reply) => {
      if (!accounts.settings.userCreation) throw notFound()
      refuseOtherSites(request)
      const { username, password, email } = request.body
      const account = await accounts.users.create({ username, password, email })
      await beginSession(request, reply, { accounts, account })
      return viewOf(accounts, account)
    },
  )

  app.post(
    '/api/v1/user/initialize',
    {
      config: { api: { for: 'anyone' } },
      // Its refusals have a shape of their own, which scripts know.
      errorHandler(error, request, reply) {
        if (error instanceof AccountError && error.kind === 'invalid_request')
          void reply.code(400).send({ message: error.message })
        else app.errorHandler(error, request, reply)
      },
      schema: {
        summary: 'Make the first user of a registry that has none (auth.accounts.initialize)',
        tags,
        security: [],
        body: Type.Object({ ...newUser, access_token: Type.Optional(Type.Boolean()) }),
        response: {
          200: Type.Object({
            username: Type.String(),
            email: Type.String(),
            encrypted_password: Type.String(),
            access_token: Type.Optional(Type.String()),
          }),
          400: Type.Union([problem, Type.Object({ message: Type.String() })]),
        },
      },
    },
    async (request, reply) => {
      refuseOtherSites(request)
      const { username, password, email, access_token: wantsToken = false } = request.body
      const made = await accounts.users.initialize({ username, password, email, wantsToken })
      await beginSession(request, reply, { accounts, account: made.account })
      return {
        username,
        email: made.email,
        encrypted_password: made.encryptedPassword,
        ...(made.accessToken === undefined ? {} : { access_token: made.accessToken }),
      }
    },
  )
}

function otherRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.get(
    '/api/v1/users/:username',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'What anyone may know of a user',
        tags,
        security: [],
        params: Type.Object({ username: Type.String() }),
        response: { 200: Type.Object({ anonymous: Type.Literal(false), username: Type.String(), avatar }) },
      },
    },
    async request => {
      if (request.actor.kind !== 'account' && !accounts.policy.anonymous) throw unauthenticated()
      const { name } = await accounts.users.find(request.params.username)
      return { anonymous: false as const, username: name, avatar: avatarOf(name, 'user') }
    },
  )
}

async function viewOf(accounts: Accounts, account: Account) {
  const { power } = account
  const user = await accounts.users.get(account.id)
  const admin = hasScope(account, 'user:admin')
  const powerful = hasScope(account, 'super:user')
  const organizations = (await accounts.users.memberships(account)).map(({ name, is_admin, may_create }) => ({
    name,
    avatar: avatarOf(name, 'org'),
    can_create_repo: may_create,
    public: false as const,
    ...(admin ? { is_org_admin: is_admin, preferred_namespace: false } : {}),
  }))
  const mine = {
    can_create_repo: power !== 'reader' && !accounts.policy.isRestricted(user.name),
    is_me: true as const,
    verified: user.verified,
    email: user.email ?? '',
    logins: [],
    invoice_email: user.invoice_email,
    invoice_email_address: user.invoice_email_address,
    preferred_namespace: false,
    tag_expiration_s: user.tag_expiration_s,
    prompts: [],
    company: user.company,
    family_name: user.family_name,
    given_name: user.given_name,
    location: user.location,
    is_free_account: true as const,
    has_password_set: user.has_password,
  }
  return {
    anonymous: false as const,
    username: user.name,
    avatar: avatarOf(user.name, 'user'),
    organizations,
    ...(admin ? mine : {}),
    ...(powerful && power === 'superuser' ? { super_user: true as const } : {}),
    ...(powerful && power === 'reader' ? { global_readonly_super_user: true as const } : {}),
  }
}
