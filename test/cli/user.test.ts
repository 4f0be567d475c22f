import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { projectFolder } from '../../conformance/programs.ts'
import { createClient, field, signIn, withToken } from '../helpers/accounts.ts'
import { needs } from '../helpers/needs.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startBerth } from '../helpers/processes.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { runBerth } from './run-berth.ts'

interface Place {
  data: string
  file: string
  /** Runs a command on the registry of this place. */
  run: (args: readonly string[], input?: string) => ReturnType<typeof runBerth>
}

/** A data folder and a configuration with accounts. */
async function makePlace(
  t: Test,
  accounts: Record<string, unknown> = {},
  env: Record<string, string> = {},
): Promise<Place> {
  const folder = join(tmpdir(), `berth-user-${randomUUID().slice(0, 8)}`)
  await mkdir(folder, { mode: 0o755 })
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'config.yml')
  await writeFile(file, stringify(configOf(accounts)))
  const data = join(folder, 'data')
  return {
    data,
    file,
    run: (args, input) =>
      runBerth([...args, '--config', file], {
        env: { BERTH_DATA: data, ...env },
        ...(input === undefined ? {} : { input }),
      }),
  }
}

function configOf(accounts: Record<string, unknown>) {
  return { version: '0.1', storage: { filesystem: {} }, auth: { accounts } }
}

const password = 'userpass123'

t.test('users are made and looked after beside a Berth that serves on its own Postgres', async t => {
  const { data, run } = await makePlace(t)
  const { url, stop, restart } = await startBerth(t, { data, config: configOf({}) })

  const made = await run(
    ['user', 'create', 'dev', '--email', 'dev@example.com', '--password-stdin', '--json'],
    `${password}\n`,
  )
  t.match(made, { code: 0, stderr: '' })
  t.match(JSON.parse(made.stdout), { username: 'dev', email: 'dev@example.com', enabled: true, superuser: false })
  const dev = await signIn(url, { username: 'dev', password })

  t.match(await run(['user', 'make-superuser', 'dev']), { code: 0, stdout: 'dev is a superuser\n' })
  t.match(await dev.get('/superuser/users/'), { status: 200, body: { users: [{ name: 'dev', super_user: true }] } })
  t.match(await run(['user', 'make-superuser', 'dev', '--revoke']), { code: 0, stdout: 'dev is no superuser\n' })
  t.equal((await dev.get('/superuser/users/')).status, 403)

  const token = await run(['token', 'create', 'dev', '--scopes', 'user:read', '--expires-in', '1h', '--json'])
  t.match(JSON.parse(token.stdout), { token: /^[A-Z0-9]{40}$/, username: 'dev', kind: 'oauth', scopes: ['user:read'] })
  const bearer = withToken(url, String(field(JSON.parse(token.stdout), 'token')))
  t.match(await bearer.get('/user/'), { status: 200, body: { username: 'dev' } })

  t.match(await run(['user', 'disable', 'dev']), { code: 0 })
  t.equal((await dev.get('/user/')).status, 401)
  t.equal((await bearer.get('/user/')).status, 401)
  t.match(await run(['user', 'enable', 'dev', '--json']), { code: 0, stdout: /"enabled": true/ })
  t.equal((await bearer.get('/user/')).status, 200)

  // Without the server, the command starts Postgres itself, and leaves it for the next.
  await stop()
  const list = await run(['user', 'list'])
  t.match(list, {
    code: 0,
    stderr: '',
    stdout: /^NAME +E-MAIL +STATE +SINCE\ndev +dev@example\.com +- +\d{4}-\d\d-\d\d\n$/,
  })
  await restart()
  t.match((await createClient(url).post('/signin', { username: 'dev', password })).status, 200)
})

t.test('a new password and a recovery code end the sessions there are', async t => {
  const secretkey = 'a-key-for-the-tests-alone'
  const database = await createTestDatabase(t, { migrate: migrateUrl })
  const { run, data } = await makePlace(t, { secretkey }, { DB_URI: database })
  const { url } = await startBerth(t, { data, config: configOf({ secretkey }), env: { DB_URI: database } })
  t.match(await run(['user', 'create', 'dev', '--superuser', '--password-stdin'], password), {
    code: 0,
    stdout: 'made the user dev, a superuser\n',
  })
  const dev = await signIn(url, { username: 'dev', password })
  t.match(await run(['user', 'set-password', 'dev', '--password-stdin'], 'another-pass\r\n'), { code: 0 })
  t.equal((await dev.get('/user/')).status, 401)
  await signIn(url, { username: 'dev', password: 'another-pass' })

  const made = await run(['user', 'recover', 'dev'])
  t.match(made, { code: 0, stdout: /^[A-Z0-9]{40}\n$/, stderr: /hand the code to dev/ })
  const code = made.stdout.trim()
  t.match(await createClient(url).put('/recovery', { code, password: 'recovered-1' }), {
    status: 200,
    body: { username: 'dev' },
  })

  const app = (await run(['token', 'create', 'dev', '--app', '--expires-in', 'never'])).stdout.trim()
  const basic = `Basic ${Buffer.from(`$app:${app}`).toString('base64')}`
  t.equal((await fetch(`${url}/v2/`, { headers: { authorization: basic } })).status, 200)
  t.match(JSON.parse((await run(['user', 'list', '--json'])).stdout), { users: [{ username: 'dev', superuser: true }] })
})

t.test('the first command makes the database, if there is none yet', async t => {
  const { run } = await makePlace(t)
  t.match(await run(['user', 'list', '--json']), { code: 0, stdout: /"users": \[\]/ })
})

t.test('what can not be done is told in one line', async t => {
  const secretkey = 'a-key-for-the-tests-alone'
  const { run } = await makePlace(t, { secretkey }, { DB_URI: await createTestDatabase(t, { migrate: migrateUrl }) })
  t.equal((await run(['user', 'create', 'dev', '--password-stdin'], password)).code, 0)
  const cases = [
    [['user', 'create', 'dev', '--password-stdin'], password, /^berth: The username already exists\n$/],
    [['user', 'create', 'Dev', '--password-stdin'], password, /^berth: Invalid namespace name "Dev"/],
    [['user', 'create', 'new', '--password-stdin'], 'short', /^berth: Invalid password, password must be at least 8/],
    [
      ['user', 'create', 'new'],
      '',
      /^berth: there is no terminal to ask for the password at: give it by --password-stdin\n$/,
    ],
    [
      ['user', 'disable', 'nobody'],
      undefined,
      /^berth: there is no user nobody: `berth user list` shows those there are\n$/,
    ],
    [['token', 'create', 'nobody'], undefined, /^berth: there is no user nobody/],
    [['token', 'create', 'dev', '--scopes', 'everything'], undefined, /Give some of repo:read, /],
    [['token', 'create', 'dev', '--expires-in', '99y'], undefined, /Give a time like 12h/],
    [['token', 'create', 'dev', '--expires-in', 'never'], undefined, /^berth: an OAuth token has to end some day/],
    [
      ['token', 'create', 'dev', '--app', '--scopes', 'repo:read'],
      undefined,
      /^berth: an application-specific token has no scopes/,
    ],
  ] as const
  for (const [args, input, message] of cases)
    t.match(await run(args, input), { code: 1, stdout: '', stderr: message }, args.join(' '))
})

t.test('without accounts in the configuration the command says what to add', async t => {
  const result = await runBerth(['user', 'list', '--no-search'])
  t.match(result, {
    code: 1,
    stdout: '',
    stderr: /^berth: this configuration has no accounts: add `auth: \{ accounts: \{\} \}`/,
  })
})

t.test('at a terminal the password is asked for twice, and never shown', async t => {
  const script = needs(t, 'script')
  if (script === undefined) return
  const secretkey = 'a-key-for-the-tests-alone'
  const database = await createTestDatabase(t, { migrate: migrateUrl })
  const { run, file, data } = await makePlace(t, { secretkey }, { DB_URI: database })
  const command = [
    process.execPath,
    join(projectFolder, 'server/main.ts'),
    'user',
    'create',
    'dev',
    '--config',
    file,
  ].join(' ')
  const terminal = spawn(script, ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, BERTH_DATA: data, DB_URI: database },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => terminal.kill('SIGKILL'))
  let shown = ''
  const answers = [
    ['New password:', `${password}\r`],
    ['The same again:', `${password}x\r`],
    ['not the same', `\u007f\r`],
  ] as const
  let next = 0
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    const [question, answer] = answers[next] ?? []
    if (question === undefined || !shown.includes(question)) return
    next++
    terminal.stdin.write(answer)
  })
  const code = await new Promise(resolve => terminal.on('exit', resolve))
  t.equal(code, 0)
  t.match(shown, /made the user dev/)
  t.notMatch(shown, 'userpass')
  t.match(JSON.parse((await run(['user', 'list', '--json'])).stdout), { users: [{ username: 'dev' }] })
})
