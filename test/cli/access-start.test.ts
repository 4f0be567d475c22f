import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startBerth } from '../helpers/processes.ts'
import { asking, basic } from '../http/asking.ts'
import { refuses } from './refuses.ts'

/** Berth is started with this section `auth`, and must not start for that reason. */
async function refusesAuth(t: Test, auth: string, reason: RegExp): Promise<void> {
  const folder = t.testdir({
    'config.yml': `version: 0.1\nstorage: filesystem\ndata: data\nauth: {${auth}}\n`,
    'broken.yml': 'rules:\n  - {}\n',
    'none.pem': 'no certificate',
  })
  await mkdir(join(folder, 'folder'))
  const env = { DB_URI: await createTestDatabase(t) }
  await refuses(t, { env, cwd: folder }, reason, ['serve', 'config.yml'])
}

t.test('a file that can not be used keeps it from starting, with what to do', async t => {
  const token = 'realm: "https://a", service: b, issuer: c'
  const table: [string, RegExp][] = [
    [
      'htpasswd: {path: folder}',
      /auth\.htpasswd\.path: the file \S+\/folder can not be read \(EISDIR.*\): correct the path/,
    ],
    ['access: {path: missing.yml}', /auth\.access\.path: the file \S+\/missing\.yml can not be read \(ENOENT/],
    ['access: {path: broken.yml}', /auth\.access\.path: the file \S+ can not be used: line 2: a rule says whom/],
    [`token: {${token}, rootcertbundle: none.pem}`, /auth\.token\.rootcertbundle: .* there is no certificate in it/],
    [`token: {${token}, jwks: none.pem}`, /auth\.token\.jwks: the file \S+ can not be used: it is not JSON/],
  ]
  for (const [auth, reason] of table) await t.test(auth, t => refusesAuth(t, auth, reason))
})

t.test(
  'a missing htpasswd file is made, by one of several processes too, with a user whose password is in the log',
  async t => {
    const path = join(t.testdir(), 'auth', 'htpasswd')
    const berth = await startBerth(t, {
      config: {
        version: '0.1',
        storage: 'filesystem',
        http: { workers: 2 },
        log: { formatter: 'json' },
        auth: { htpasswd: { realm: 'R', path } },
      },
    })
    const told = berth
      .stdout()
      .split('\n')
      .filter(line => line.includes('htpasswd file was missing'))
    t.equal(told.length, 1)
    const { user, password }: Record<string, unknown> = JSON.parse(told[0] ?? '{}')
    t.equal(user, 'docker')
    t.equal((await stat(path)).mode & 0o777, 0o600)
    const docker = asking(berth.url, { authorization: basic('docker', String(password)) })
    for (let request = 0; request < 4; request++) t.equal((await docker.ask('GET', '/v2/')).status, 200)
    t.equal((await asking(berth.url).ask('GET', '/v2/')).headers['www-authenticate'], 'Basic realm="R"')
    await writeFile(path, `${await readFile(path, 'utf8')}eve:{SHA}x\n`)
    await berth.restart()
    t.notMatch(berth.stdout(), /was missing/)
    t.match(berth.stdout(), /lines of the htpasswd file left out/)
    t.equal((await docker.ask('GET', '/v2/')).status, 200)
  },
)
