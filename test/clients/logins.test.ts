import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import t, { type Test } from 'tap'
import { makeContent } from '../../conformance/clients/content.ts'
import { run, type RunOptions, start } from '../../conformance/process.ts'
import { temporaryFolder } from '../../conformance/temporary.ts'
import { basic, makePublic, pushImage } from '../helpers/access.ts'
import { field, makeUser, password, signIn, startWithAccounts } from '../helpers/accounts.ts'
import { needs, needsRoot } from '../helpers/needs.ts'
import { startRegistry } from '../helpers/registry.ts'
import { type LoggingIn, type LoginClient, loginClients } from './login-clients.ts'

/**
 * Real clients log in, with right and with wrong secrets. Each has a user of its own name, since failures count by name.
 */

// In lower case: some clients take a folder's name for a repository's.
const root = temporaryFolder('logins')
const content = await makeContent(join(root, 'content'), { large: false })

const accounts = await startWithAccounts(t)
const users = join(root, 'htpasswd')
await writeFile(users, loginClients.map(({ name }) => `${name}:${hashSync(password, 5)}\n`).join(''))
const plain = await startRegistry(t, { auth: { htpasswd: { realm: 'Berth', path: users } } })

/** Words that clients have for a wrong password, and for what one may not see. */
const refusal = /unauthorized|401|invalid username|denied|authentication required|403|credential/i

/** Fails in a moment, and with these words. */
async function isRefused(t: Test, act: () => Promise<unknown>, what: string): Promise<void> {
  const started = performance.now()
  const said = await act().then(
    () => 'it succeeded',
    (error: unknown) => String(error),
  )
  const seconds = (performance.now() - started) / 1000
  t.match(said, refusal, what)
  t.ok(seconds < 20, `${what}: at once, and not after ${seconds} s`)
}

/** The client with a home of its own, or undefined when it is not here. */
async function open(t: Test, client: LoginClient, url: string): Promise<LoggingIn | undefined> {
  if (client.programs.some(program => needs(t, program) === undefined)) return undefined
  if (client.root && !needsRoot(t)) return undefined
  const folder = join(root, `${client.name}-${url.slice(-5)}`)
  const home = join(folder, 'home')
  const temporary = join(folder, 'tmp')
  await mkdir(home, { recursive: true })
  await mkdir(temporary, { mode: 0o700 })
  const proxies = ['http_proxy', 'https_proxy', 'all_proxy'].flatMap(name => [name, name.toUpperCase()])
  const environment = {
    HOME: home,
    XDG_RUNTIME_DIR: temporary,
    XDG_CONFIG_HOME: undefined,
    XDG_DATA_HOME: undefined,
    XDG_CACHE_HOME: undefined,
    TMPDIR: temporary,
    DOCKER_CONFIG: join(home, '.docker'),
    DOCKER_HOST: undefined,
    ...Object.fromEntries(proxies.map(name => [name, undefined])),
  }
  const inFolder = (options?: RunOptions) => ({ cwd: folder, ...options, env: { ...environment, ...options?.env } })
  return client.open({
    folder,
    host: url.replace('http://', ''),
    ca: undefined,
    content,
    run: (command, args, options) => run(command, args, inFolder(options)),
    async start(command, args, options) {
      const started = await start(command, args, inFolder(options))
      t.teardown(() => started.stop())
      return started
    },
  })
}

/** A wrong secret is of no use. */
async function refusesWrong(t: Test, client: LoginClient, { login, logout, push }: LoggingIn): Promise<void> {
  const wrong = () => login(client.name, 'wrongpass123')
  if (client.asks) return isRefused(t, wrong, 'a wrong password')
  await wrong()
  await isRefused(t, () => push(`${client.name}/wrong`), 'a push with a wrong password')
  await logout()
}

for (const client of loginClients) {
  t.test(`${client.name} logs in to accounts, with all that one can log in with`, async t => {
    const opened = await open(t, client, accounts.url)
    if (opened === undefined) return
    const { login, logout, push, pull } = opened
    const { name } = client
    await makeUser(accounts, name)
    const session = await signIn(accounts.url, { username: name, password })
    const own = basic(name, password)
    for (const kind of ['robot', 'public', 'shown'])
      await pushImage(accounts.url, own, client.repositoryOf(`${name}/${kind}`))
    const secrets = {
      robot: String(field((await session.put('/user/robots/ci', {})).body, 'token')),
      app: String(field((await session.post('/user/apptoken', { title: name })).body, 'token', 'token_code')),
      key: String(field((await session.post('/user/clientkey', { password })).body, 'key')),
    }
    await accounts.database.change(
      {
        name: 'test.writes',
        text: `insert into repository_permissions (repository_id, account_id, role)
               select r.id, a.id, 'write' from repositories r, accounts a where r.name = $1 and a.name = $2`,
      },
      [client.repositoryOf(`${name}/robot`), `${name}+ci`],
    )

    await refusesWrong(t, client, opened)
    await isRefused(t, () => pull(`${name}/robot`), 'what is private, without a login')

    const ways: [kind: string, user: string, secret: string][] = [
      ['user', name, password],
      ['robot', `${name}+ci`, secrets.robot],
      ['app', '$app', secrets.app],
      ['key', name, secrets.key],
    ]
    for (const [kind, user, secret] of ways) {
      await login(user, secret)
      await push(`${name}/${kind}`)
      await pull(`${name}/${kind}`)
      t.pass(`${kind}: logged in, pushed and pulled what is private`)
      if (kind === 'robot') await isRefused(t, () => pull(`${name}/user`), 'what the robot may not see')
      await logout()
    }

    await login(name, password)
    await push(`${name}/public`)
    for (const kind of ['public', 'shown']) await makePublic(accounts, client.repositoryOf(`${name}/${kind}`))
    await logout()
    await pull(`${name}/public`)
    await isRefused(t, () => pull(`${name}/user`), 'what is private, after the logout')
    await isRefused(t, () => push(`${name}/shown`), 'a push to what is public, after the logout')
  })

  t.test(`${client.name} logs in to htpasswd`, async t => {
    const opened = await open(t, client, plain.url)
    if (opened === undefined) return
    const { login, logout, push, pull } = opened
    const { name } = client
    await refusesWrong(t, client, opened)
    await login(name, password)
    await push(`${name}/app`)
    await pull(`${name}/app`)
    await logout()
    await isRefused(t, () => pull(`${name}/app`), 'a pull without a login')
  })
}
