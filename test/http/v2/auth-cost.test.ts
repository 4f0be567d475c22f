import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import type { Database } from '../../../server/metadata/database.ts'
import { basic, bearer, makePublic, pushImage, tokenOf } from '../../helpers/access.ts'
import { field, makeUser, password, signIn, startWithAccounts, tokenFor } from '../../helpers/accounts.ts'
import { watchStatements, type WatchedDatabase } from '../../helpers/statements.ts'

/** What a request costs the database, beside what it would cost without accounts: with a sole process, nothing. */
let watched: WatchedDatabase | undefined
const registry = await startWithAccounts(t, {
  sole: true,
  wrapDatabase(database: Database) {
    watched = watchStatements(database)
    return watched.database
  },
})
const { url } = registry
const taken = () => watched?.taken() ?? []
await makeUser(registry, 'alice')
const alice = basic('alice', password)
await pushImage(url, alice, 'alice/app')
await pushImage(url, alice, 'alice/public')
await makePublic(registry, 'alice/public')

const pulls = ['HEAD', 'GET'].map(method => [method, '/v2/alice/app/manifests/1'] as const)

/** The statements of a pull, when the one before it has warmed everything up, and what it left to do is done. */
async function costOf(method: string, path: string, headers: Record<string, string>): Promise<string[]> {
  const pull = async () => {
    const { status } = await ask(url + path, { method, headers })
    if (status !== 200) throw new Error(`${method} ${path}: ${status}`)
  }
  await pull()
  do taken()
  while (await until(() => taken().length > 0, 50))
  await pull()
  return taken()
}

/** Whether it comes true in so many milliseconds. */
async function until(comesTrue: () => boolean, ms: number): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(10)) if (comesTrue()) return true
  return false
}

t.test('a pull with a token makes no query', async t => {
  const scope = ['repository:alice/app:pull', 'repository:alice/public:pull']
  const token = bearer((await tokenOf(url, alice, { scope })).token)
  const anonymous = bearer((await tokenOf(url, {}, { scope })).token)
  for (const [method, path] of pulls) t.same(await costOf(method, path, token), [], `${method} with a token`)
  for (const [method, path] of pulls)
    t.same(await costOf(method, path.replace('app', 'public'), anonymous), [], `${method} with no one's token`)

  const fresh = bearer((await tokenOf(url, alice, { scope })).token)
  taken()
  t.equal((await ask(`${url}/v2/alice/app/manifests/1`, { headers: fresh })).status, 200)
  t.same(taken(), [], 'not even with one that was never seen')
})

t.test('a pull with Basic makes one, whatever the credentials are', async t => {
  const session = await signIn(url, { username: 'alice', password })
  const robot = String(field((await session.put('/user/robots/ci', {})).body, 'token'))
  await registry.database.change({
    name: 'test.reads',
    text: `insert into repository_permissions (repository_id, account_id, role)
           select r.id, a.id, 'read' from repositories r, accounts a where r.name = 'alice/app' and a.name = 'alice+ci'`,
  })
  const app = String(field((await session.post('/user/apptoken', { title: 'x' })).body, 'token', 'token_code'))
  const key = String(field((await session.post('/user/clientkey', { password })).body, 'key'))
  const rows: [string, Record<string, string>, string][] = [
    ['a password', alice, 'credentials.by_name'],
    ['an encrypted password', basic('alice', key), 'credentials.by_name'],
    ['a robot', basic('alice+ci', robot), 'credentials.by_name'],
    ['an application-specific token', basic('$app', app), 'credentials.by_app_token'],
    [
      'an OAuth token',
      basic('$oauthtoken', await tokenFor(registry, 'alice', ['repo:read'])),
      'credentials.by_oauth_token',
    ],
  ]
  for (const [what, headers, statement] of rows)
    for (const [method, path] of pulls)
      t.same(await costOf(method, path, headers), [statement], `${method} with ${what}`)
})

t.test('a pull by no one of what is public makes one', async t => {
  for (const [method, path] of pulls)
    t.same(await costOf(method, path.replace('app', 'public'), {}), ['rights.find'], method)
})

async function cost(scope: string[]): Promise<string[]> {
  await tokenOf(url, alice, { scope })
  taken()
  await tokenOf(url, alice, { scope })
  return taken()
}

t.test('a token costs a query for the login and one for each repository', async t => {
  t.same(await cost([]), ['credentials.by_name'])
  t.same(await cost(['repository:alice/app:pull,push']), ['credentials.by_name', 'rights.find'])
  t.same(await cost(['repository:alice/app:pull', 'repository:alice/app:push', 'repository:alice/public:pull']), [
    'credentials.by_name',
    'rights.find',
    'rights.find',
  ])
})

t.test('that one was there is written down once a minute, and not more often', async t => {
  await makeUser(registry, 'bob')
  const bob = basic('bob', password)
  taken()
  for (let at = 0; at < 20; at++) await ask(`${url}/v2/`, { headers: bob })
  const statements = taken()
  t.equal(statements.filter(name => name === 'credentials.touch_account').length, 1)
  t.equal(statements.filter(name => name === 'credentials.by_name').length, 20)
})
