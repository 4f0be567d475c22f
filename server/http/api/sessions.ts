import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Account } from '../../access/actor.ts'
import { AccountError } from '../../accounts/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import { RegistryError } from '../../oci/errors.ts'
import { accountOf, refused, sessionCookie } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { problem, success } from './views.ts'

const refusal = Type.Union([
  Type.Object({
    needsEmailVerification: Type.Boolean(),
    invalidCredentials: Type.Boolean(),
    message: Type.String(),
  }),
  problem,
])

/** Signing in and out by a browser. */
export function sessionRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.post(
    '/api/v1/signin',
    {
      config: { api: { for: 'anyone', always: true } },
      schema: {
        summary: 'Begin a session',
        tags: ['user'],
        security: [],
        body: Type.Object({ username: Type.String(), password: Type.String() }),
        response: { 200: success, 403: refusal },
      },
    },
    async (request, reply) => {
      refuseOtherSites(request)
      const { username, password } = request.body
      const account = await signIn(request, { accounts, username, password })
      if (account === undefined) return reply.code(403).send(wrong)
      await beginSession(request, reply, { accounts, account })
      return { success: true }
    },
  )

  app.post(
    '/api/v1/signin/verify',
    {
      config: { api: { for: 'user', scope: 'user:read', always: true } },
      schema: {
        summary: 'Enter the password again, for what needs a fresh login',
        tags: ['user'],
        body: Type.Object({ password: Type.String() }),
        response: { 200: success, 403: refusal },
      },
    },
    async (request, reply) => {
      const { name, id } = accountOf(request)
      const account = await signIn(request, { accounts, username: name, password: request.body.password })
      if (account?.id !== id) return reply.code(403).send(wrong)
      const cookie = request.cookies[sessionCookie]
      if (request.session !== undefined && cookie !== undefined) await accounts.sessions.refresh(cookie)
      return { success: true }
    },
  )

  app.post(
    '/api/v1/signout',
    {
      config: { api: { for: 'user', scope: 'user:read', always: true } },
      schema: { summary: 'End all sessions of the user', tags: ['user'], response: { 200: success } },
    },
    async (request, reply) => {
      await accounts.sessions.endAll(accountOf(request).id)
      reply.clearCookie(sessionCookie, { path: '/' })
      return { success: true }
    },
  )

  app.get(
    '/csrf_token',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'What requests of this session that change something have to say in X-CSRF-Token',
        tags: ['user'],
        security: [{ session: [] }],
        response: { 200: Type.Object({ csrf_token: Type.String() }) },
      },
    },
    async (request, reply) => {
      // Quay's clients ask for one before they sign in: until there is a session, nothing is measured by it.
      const token = request.session?.csrfToken ?? randomBytes(32).toString('base64url')
      reply.header(nextToken, token)
      return { csrf_token: token }
    },
  )
}

const wrong = { needsEmailVerification: false, invalidCredentials: true, message: 'Invalid Username or Password' }

interface Entered {
  accounts: Accounts
  username: string
  password: string
}

/** Undefined when they are wrong. @throws RegistryError TOOMANYREQUESTS */
async function signIn(
  request: FastifyRequest,
  { accounts, username, password }: Entered,
): Promise<Account | undefined> {
  try {
    return await accounts.users.signIn({ name: username, secret: password }, request.ip)
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'UNAUTHORIZED') return undefined
    throw error
  }
}

interface Beginning {
  accounts: Accounts
  account: Account
}

/** Tells a client the CSRF token of its session before it has to ask. */
const nextToken = 'x-next-csrf-token'

/** Refuses what a page of another site has a browser send: it would sign its user in as someone else. @throws AccountError */
export function refuseOtherSites({ headers }: FastifyRequest): void {
  if (headers['sec-fetch-site'] === 'cross-site') throw refused()
}

/** Begins a session and gives the browser its cookie. */
export async function beginSession(
  request: FastifyRequest,
  reply: FastifyReply,
  { accounts, account }: Beginning,
): Promise<void> {
  if (account.robot) throw new AccountError('insufficient_scope', 'Unauthorized')
  const { cookie, csrfToken } = await accounts.sessions.begin(account)
  reply.header(nextToken, csrfToken)
  reply.setCookie(sessionCookie, cookie, {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    // Behind a proxy that ends TLS, as it says.
    secure: request.protocol === 'https' || request.headers['x-forwarded-proto'] === 'https',
    maxAge: accounts.sessions.lifetime,
  })
}
