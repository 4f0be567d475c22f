import type { Test } from 'tap'
import type { Account, Scope } from '../../server/access/actor.ts'
import { hashOf, randomSecret } from '../../server/access/secrets.ts'
import type { Accounts } from '../../server/accounts/index.ts'
import { statement } from '../../server/metadata/database.ts'
import { checkDocumented } from './documented.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from './registry.ts'

/** A registry with accounts, for tests of the REST API and of who may do what. */

/** The password of whoever `makeUser` makes. */
export const password = 'userpass123'
/** Of the superuser `admin`. */
export const adminPassword = 'adminpass123'

export interface AccountsRegistry extends TestRegistry {
  /** The superuser's session. */
  admin: ApiClient
  /** The operations that the REST API and the commands call. */
  operations: Accounts
}

/** What is asked of the REST API in one's name; a path goes on from `/api/v1`, unless it begins with the URL. */
export interface ApiClient {
  get(path: string, options?: AskOptions): Promise<Answer>
  post(path: string, body?: unknown, options?: AskOptions): Promise<Answer>
  put(path: string, body?: unknown, options?: AskOptions): Promise<Answer>
  delete(path: string, body?: unknown, options?: AskOptions): Promise<Answer>
}

export interface AskOptions {
  /** Added to those that the client sends; an empty one is left out (`x-csrf-token`, say). */
  headers?: Record<string, string>
}

export interface Answer {
  status: number
  headers: Headers
  /** What the JSON says; undefined where there is no body. */
  body: unknown
}

export interface AccountsOptions extends Omit<TestRegistryOptions, 'auth'> {
  /** The section `auth.accounts` of the configuration, over `superusers: [admin]` and `teaminvites: true`. */
  accounts?: Record<string, unknown>
}

/** Starts a registry with accounts, whose only user is the superuser `admin`. It ends with its test. */
export async function startWithAccounts(t: Test, options: AccountsOptions = {}): Promise<AccountsRegistry> {
  const { accounts, ...rest } = options
  const registry = await startRegistry(t, {
    ...rest,
    auth: { accounts: { superusers: ['admin'], teaminvites: true, ...accounts } },
  })
  const operations = operationsOf(registry)
  await operations.users.create({ username: 'admin', password: adminPassword, email: 'admin@example.com' })
  const admin = await signIn(registry.url, { username: 'admin', password: adminPassword })
  return Object.assign(registry, { admin, operations })
}

/** The operations on accounts of a registry that has them. */
function operationsOf({ services }: TestRegistry): Accounts {
  if (services.access.accounts === undefined) throw new Error('this registry has no accounts')
  return services.access.accounts.operations
}

/** Makes a user with the password `password` and the address NAME@example.com. */
export function makeUser(registry: TestRegistry, name: string): Promise<Account> {
  return operationsOf(registry).users.create({ username: name, password, email: `${name}@example.com` })
}

/** Makes a user and signs in as such: a client with a session. */
export async function makeSession(registry: TestRegistry, name: string): Promise<ApiClient> {
  await makeUser(registry, name)
  return signIn(registry.url, { username: name, password })
}

/** Begins a session, whose cookie and CSRF token the client then sends. @throws Error when the registry refuses */
export async function signIn(url: string, user: { username: string; password: string }): Promise<ApiClient> {
  const { headers, status, body } = await createClient(url).post('/signin', user)
  if (status !== 200) throw new Error(`not signed in: ${status} ${JSON.stringify(body)}`)
  return sessionOf(url, headers)
}

/** The client of the session that an answer began (sign-in, sign-up, the first user), by its `Set-Cookie`. */
export async function sessionOf(url: string, headers: Headers): Promise<ApiClient> {
  const cookie = headers
    .getSetCookie()
    .map(line => line.split(';')[0])
    .join('; ')
  const { body } = await createClient(url, { cookie }).get(`${url}/csrf_token`)
  return createClient(url, { cookie, 'x-csrf-token': String(field(body, 'csrf_token')) })
}

/** A client that sends these headers with each request; without any it is no one's. */
export function createClient(url: string, fixed: Record<string, string> = {}): ApiClient {
  async function ask(method: string, path: string, body: unknown, { headers = {} }: AskOptions = {}): Promise<Answer> {
    const sent = Object.entries({
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...fixed,
      ...headers,
    })
    const response = await fetch(path.startsWith(url) ? path : `${url}/api/v1${path}`, {
      method,
      headers: sent.filter(([, value]) => value !== ''),
      redirect: 'manual',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const answer = { status: response.status, headers: response.headers, body: text === '' ? undefined : parsed(text) }
    const asked = path.startsWith(url) ? path.slice(url.length) : `/api/v1${path}`
    await checkDocumented(url, { method, path: asked, ...answer })
    return answer
  }
  return {
    get: (path, options) => ask('GET', path, undefined, options),
    post: (path, body, options) => ask('POST', path, body, options),
    put: (path, body, options) => ask('PUT', path, body, options),
    delete: (path, body, options) => ask('DELETE', path, body, options),
  }
}

/** A client that sends an OAuth token. */
export function withToken(url: string, token: string): ApiClient {
  return createClient(url, { authorization: `Bearer ${token}` })
}

export interface TokenOptions {
  /** In a year when left out. */
  expiresAt?: Date
}

const addToken = statement(
  'test.add_token',
  `with application as (
     insert into oauth_applications (client_id, namespace_id, name, client_secret)
     select $1, namespace_id, 'test', '' from accounts where name = $2
   )
   insert into oauth_tokens (application_id, account_id, hash, scopes, expires_at)
   select $1, id, $3, $4, $5 from accounts where name = $2`,
)

/** Makes an OAuth token of a user with these scopes. @returns the token */
export async function tokenFor(
  { database }: TestRegistry,
  name: string,
  scopes: readonly Scope[],
  { expiresAt = new Date(Date.now() + 365 * 24 * 3600_000) }: TokenOptions = {},
): Promise<string> {
  const token = randomSecret(40)
  const made = await database.change(addToken, [randomSecret(20), name, hashOf(token), [...scopes], expiresAt])
  if (made !== 1) throw new Error(`there is no user ${name}`)
  return token
}

/** What stands at the end of this path of a body: `field(body, 'users', 0, 'name')`. */
export function field(body: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce(
    (part, key) => (typeof part === 'object' && part !== null ? Reflect.get(part, key) : undefined),
    body,
  )
}

/** JSON, or the text where it is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
