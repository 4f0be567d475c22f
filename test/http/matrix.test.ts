import { createHmac } from 'node:crypto'
import t, { type Test } from 'tap'
import { scopes } from '../../server/access/actor.ts'
import { createSigningKeys } from '../../server/access/signing-keys.ts'
import { createTokens } from '../../server/access/tokens.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'
import { hashOf } from '../../server/access/secrets.ts'
import { statement } from '../../server/metadata/database.ts'
import {
  type AccountsRegistry,
  field,
  makeSession,
  makeUser,
  password,
  startWithAccounts,
  tokenFor,
} from '../helpers/accounts.ts'
import { startRegistry } from '../helpers/registry.ts'
import { routesOf } from '../helpers/routes.ts'
import { classes, impostors, people, type Person, type Row, table } from './matrix.ts'

type Credentials = { api: Record<string, string>; v2: Record<string, string> }

interface World {
  registry: AccountsRegistry
  /** Where superusers have full access, on the same database. */
  full: AccountsRegistry['url']
  people: Record<Person, Credentials>
  impostors: Record<(typeof impostors)[number], Credentials>
}

const basic = (name: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`,
})
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

const repository = 'acme/app'
const secretKey = 'the key of this test'

async function startWorld(t: Test): Promise<World> {
  const accounts = {
    secretkey: secretKey,
    superusers: ['admin', 'superuser', 'fullsuperuser'],
    readonlysuperusers: ['watcher'],
    teaminvites: false,
    tokenlifetime: '1h',
  }
  const registry = await startWithAccounts(t, { accounts })
  const owner = await makeSession(registry, 'owner')
  await owner.post('/organization/', { name: 'acme' })
  await owner.post('/repository', { namespace: 'acme', repository: 'app', visibility: 'private', description: '' })
  for (const role of ['read', 'write', 'admin']) {
    const name = { read: 'reader', write: 'writer', admin: 'administrator' }[role] ?? ''
    await makeUser(registry, name)
    await owner.put(`/repository/${repository}/permissions/user/${name}`, { role })
  }
  for (const name of ['stranger', 'member', 'superuser', 'fullsuperuser', 'watcher', 'disabled'])
    await makeUser(registry, name)
  await owner.put('/organization/acme/team/readers', { role: 'member' })
  await owner.put('/organization/acme/team/readers/members/member')
  await owner.put(`/repository/${repository}/permissions/team/readers`, { role: 'read' })
  await owner.put(`/repository/${repository}/permissions/user/disabled`, { role: 'admin' })
  const robots = await Promise.all(
    ['read', 'write', 'admin'].map(async role => {
      const made = await owner.put(`/organization/acme/robots/${role}`)
      await owner.put(`/repository/${repository}/permissions/user/acme+${role}`, { role })
      return {
        api: bearer(String(field(made.body, 'token'))),
        v2: basic(`acme+${role}`, String(field(made.body, 'token'))),
      }
    }),
  )
  const [readRobot, writeRobot, adminRobot] = robots
  if (readRobot === undefined || writeRobot === undefined || adminRobot === undefined) throw new Error('no robots')
  const user = async (name: string): Promise<Credentials> => ({
    api: bearer(await tokenFor(registry, name, scopes)),
    v2: basic(name, password),
  })
  const known = {
    anonymous: { api: {}, v2: {} },
    stranger: await user('stranger'),
    reader: await user('reader'),
    writer: await user('writer'),
    admin: await user('administrator'),
    member: await user('member'),
    owner: await user('owner'),
    superuser: await user('superuser'),
    fullSuperuser: await user('fullsuperuser'),
    watcher: await user('watcher'),
    readRobot,
    writeRobot,
    adminRobot,
  }
  const disabled = await user('disabled')
  await registry.admin.put('/superuser/users/disabled', { enabled: false })
  const full = await startWithAccountsAgain(t, registry, { ...accounts, superusersfullaccess: true })
  return { registry, full, people: known, impostors: { disabled, ...(await forgeries(registry)) } }
}

/** Another process on the same database, with other settings. */
async function startWithAccountsAgain(t: Test, first: AccountsRegistry, accounts: Record<string, unknown>) {
  const { databaseUrl, root } = first
  return (await startRegistry(t, { databaseUrl, root, auth: { accounts } })).url
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Tokens that look like good ones. */
async function forgeries(registry: AccountsRegistry): Promise<Omit<World['impostors'], 'disabled'>> {
  const scope = `repository:${repository}:pull,push,*`
  const answer = await fetch(`${registry.url}/v2/auth?service=berth&scope=${scope}`, {
    headers: basic('owner', password),
  })
  const good = String(field(await answer.json(), 'token'))
  const [head = '', body = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
  const withBody = (changes: object) => `${head}.${encoded({ ...claims, ...changes })}.${signature}`
  const ended = await tokenFor(registry, 'owner', scopes, { expiresAt: new Date(Date.now() - 1000) })
  const none = `${encoded({ alg: 'none', typ: 'JWT' })}.${body}.`
  const hmac = `${encoded({ ...JSON.parse(Buffer.from(head, 'base64url').toString()), alg: 'HS256' })}.${body}`
  const key = createHmac('sha256', 'guess').update(hmac).digest('base64url')
  return {
    expired: { api: bearer(ended), v2: bearer(await endedToken(registry)) },
    tampered: { api: bearer(good), v2: bearer(withBody({ sub: 'superuser' })) },
    otherService: { api: bearer(withBody({ aud: 'other' })), v2: bearer(withBody({ aud: 'other' })) },
    noSignature: { api: bearer(none), v2: bearer(none) },
    unknown: { api: basic('owner', password), v2: bearer(`${hmac}.${key}`) },
  }
}

/** A token of this registry's own that was good a minute ago. */
async function endedToken({ database }: AccountsRegistry): Promise<string> {
  const keys = createSigningKeys({ database, algorithm: 'ES256', secretKey, tokenMs: 3600_000 })
  const tokens = createTokens({ keys, service: 'berth', lifetimeMs: -60_000 })
  const actions = ['pull', 'push', 'delete', '*'] as const
  const grants = [{ repository: parseRepositoryName(repository), actions }]
  return (await tokens.issue({ name: 'owner', accountId: 1, grants, catalog: true })).token
}

async function ask(url: string, { route, path }: Pick<Row, 'route' | 'path'>, headers: Record<string, string>) {
  const method = route.split(' ', 1)[0] ?? ''
  const body = method === 'POST' || method === 'PUT' || method === 'PATCH' ? '{}' : undefined
  const type = path.startsWith('/v2/') ? 'application/octet-stream' : 'application/json'
  const response = await fetch(url + path, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': type }) },
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
  })
  return { status: response.status, text: await response.text() }
}

/** Which of the two credentials of someone a route takes. */
function credentialsFor({ path }: Row, { api, v2 }: Credentials): Record<string, string> {
  return path.startsWith('/v2/') ? v2 : api
}

const isRefusal = (status: number) => status === 401 || status === 403

t.test('every route has a row that says who may use it', async t => {
  const { app } = await startWithAccounts(t)
  const rows = table.map(({ route }) => route)
  t.strictSame(rows.toSorted(), [...new Set(routesOf(app))].toSorted())
  t.strictSame(rows, [...new Set(rows)], 'and each one only')
})

t.test('each route is open to those of its row, and to no one else', async t => {
  const world = await startWorld(t)
  for (const row of table) {
    const allowed: readonly Person[] = classes[row.for]
    for (const person of Object.keys(people) as Person[]) {
      const may = allowed.includes(person)
      if ((may && row.destroys === true) || row.own === true) continue
      // A robot has no token for the REST API: it is an impostor there.
      const url = person === 'fullSuperuser' ? world.full : world.registry.url
      const { status, text } = await ask(url, row, credentialsFor(row, world.people[person]))
      const what = `${row.route} by ${person}: ${status} ${text.slice(0, 200)}`
      if (may) t.notOk(isRefusal(status), what)
      else if (person === 'anonymous' || (!row.path.startsWith('/v2/') && person.endsWith('Robot')))
        t.equal(status, 401, what)
      else t.equal(status, 403, what)
      if (may) t.ok(status < 500, what)
    }
  }
})

t.test('credentials that are not good open nothing, not even what is open to everyone', async t => {
  const world = await startWorld(t)
  for (const row of table) {
    if (row.own === true) continue
    for (const impostor of impostors) {
      const { status } = await ask(world.registry.url, row, credentialsFor(row, world.impostors[impostor]))
      // It is good for uploads that were begun with it, and there is none.
      const goesOn = impostor === 'expired' && row.path.includes('/uploads/') && !/^(POST|DELETE)/.test(row.route)
      t.equal(status, goesOn ? 404 : 401, `${row.route} by ${impostor}`)
    }
  }
})

t.test('what one may not see is like what is not there', async t => {
  const world = await startWorld(t)
  const strangers: readonly Person[] = ['anonymous', 'stranger', 'superuser', 'readRobot']
  const owner = await makeSession(world.registry, 'neighbour')
  await owner.post('/organization/', { name: 'other' })
  await owner.post('/repository', { namespace: 'other', repository: 'app', visibility: 'private', description: '' })
  for (const row of table) {
    if (!/acme\/app(?:[/?]|$)/.test(row.path) || row.own === true) continue
    const there = { ...row, path: row.path.replace('acme/app', 'other/app') }
    const missing = { ...row, path: row.path.replace('acme/app', 'other/nil') }
    for (const person of strangers) {
      const credentials = credentialsFor(row, world.people[person])
      const [one, two] = await Promise.all([
        ask(world.registry.url, there, credentials),
        ask(world.registry.url, missing, credentials),
      ])
      t.strictSame(one, { ...two, text: two.text.replaceAll('other/nil', 'other/app') }, `${row.route} by ${person}`)
    }
  }
})

const disable = statement('test.disable', `update accounts set enabled = false where name = $1`)
const ended = statement('test.token_of', `select 1 from oauth_tokens where hash = $1`)

t.test('an account that is disabled is out at once, by a session, a token and a password', async t => {
  const registry = await startWithAccounts(t)
  const session = await makeSession(registry, 'someone')
  const token = await tokenFor(registry, 'someone', scopes)
  t.equal((await session.get('/user/')).status, 200)
  t.equal(await registry.database.change(disable, ['someone']), 1)
  t.ok(await registry.database.row(ended, [hashOf(token)]), 'its token is still there')
  t.equal((await session.get('/user/')).status, 401)
  t.equal((await fetch(`${registry.url}/api/v1/user/`, { headers: bearer(token) })).status, 401)
  t.equal((await fetch(`${registry.url}/v2/`, { headers: basic('someone', password) })).status, 401)
  t.equal((await fetch(`${registry.url}/v2/auth?service=berth`, { headers: basic('someone', password) })).status, 401)
})
