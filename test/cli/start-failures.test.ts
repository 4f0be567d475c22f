import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { readMigrations } from '../../server/metadata/migrate.ts'
import { needs, needsRoot } from '../helpers/needs.ts'
import { createTestDatabase, urlOf } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { mountTmpfs } from '../storage-drivers/tmpfs.ts'
import { type BerthRunOptions, runBerth } from './run-berth.ts'

const emptyConfig = 'conformance/empty.yml'

/** Berth is started, and must end at once with one sentence on its standard error and status 1. */
async function refuses(
  t: Test,
  options: BerthRunOptions,
  sentence: RegExp,
  args = ['serve', emptyConfig],
): Promise<string> {
  const env = { REGISTRY_HTTP_ADDR: '127.0.0.1:0', REGISTRY_LOG_LEVEL: 'error', ...options.env }
  const { code, stderr, stdout, timedOut } = await runBerth(args, { ...options, env })
  t.equal(timedOut, false, 'it ends by itself')
  t.equal(code, 1)
  t.match(stderr, sentence)
  t.equal(stderr.trim().split('\n').length, 1, `one line: ${stderr}`)
  return stderr + stdout
}

/** The database's URL with something in it replaced. */
function changed(url: string, change: { user?: string; password?: string; database?: string }): string {
  // Its password is there, but not for those who copy it.
  const { user, password, host, port, database } = new pg.Client({ connectionString: url })
  return urlOf({ user, password, host, port, database, ...change })
}

t.test('a database that nobody serves', async t => {
  const env = { DB_URI: `postgresql://berth:hunter2@127.0.0.1:${await freePort()}/berth`, BERTH_DATA: t.testdir() }
  const sentence =
    /^berth: the database at 127\.0\.0\.1:\d+ can not be reached \(.*ECONNREFUSED.*\): start it, or correct database\.url \(DB_URI\)/
  t.notMatch(await refuses(t, { env }, sentence), /hunter2/)
  await refuses(
    t,
    { env: { ...env, DB_URI: env.DB_URI.replace('127.0.0.1', 'localhost') } },
    /^berth: the database at localhost:\d+ can not be reached \(.*ECONNREFUSED/,
  )
  await refuses(t, { env }, sentence, ['migrate', emptyConfig])
})

t.test('a host that takes the connection and says nothing', async t => {
  const port = await portOf(
    t,
    createServer(() => {}),
  )
  const env = { DB_URI: `postgresql://berth@127.0.0.1:${port}/berth`, BERTH_DATA: t.testdir() }
  await refuses(t, { env }, /^berth: the database at 127\.0\.0\.1:\d+ can not be reached \(.*timeout/)
})

t.test('a server that is no Postgres', async t => {
  const other = createServer(socket => {
    socket.on('error', () => {})
    socket.end('220 mail.test ESMTP\r\n')
  })
  const port = await portOf(t, other)
  const env = { DB_URI: `postgresql://berth@127.0.0.1:${port}/berth`, BERTH_DATA: t.testdir() }
  await refuses(t, { env }, /^berth: the database at 127\.0\.0\.1:\d+ can not be (reached|used) \(/)
})

t.test('a wrong password, a user and a database that are not there', async t => {
  const url = await createTestDatabase(t)
  const data = t.testdir()
  const wrong = { BERTH_DATA: data, DB_URI: changed(url, { password: 'hunter2' }) }
  t.notMatch(
    await refuses(
      t,
      { env: wrong },
      /^berth: the database at .* does not let the user postgres in \(.*password.*\): correct user and password in database\.url \(DB_URI\)/,
    ),
    /hunter2/,
  )
  const nobody = { BERTH_DATA: data, DB_URI: changed(url, { user: 'nobody_here', password: 'x' }) }
  await refuses(t, { env: nobody }, /does not let the user nobody_here in/)
  const missing = { BERTH_DATA: data, DB_URI: changed(url, { database: 'nothing_here' }) }
  await refuses(t, { env: missing }, /^berth: there is no database nothing_here at .*: create it, or correct/)
})

t.test('a user who may not make tables', async t => {
  const url = await createTestDatabase(t)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const role = `weak_${randomBytes(6).toString('hex')}`
  await client.query(`create role ${role} login password 'x'`)
  t.teardown(async () => {
    await client.query(`drop role ${role}`)
    await client.end()
  })
  const env = { BERTH_DATA: t.testdir(), DB_URI: changed(url, { user: role, password: 'x' }) }
  await refuses(t, { env }, /does not let the user weak_\w+ make tables \(permission denied.*\): make it the owner/)
})

t.test('a database in which a migration fails', async t => {
  const url = await createTestDatabase(t)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  await client.query('create table blobs (mine text)')
  const env = { BERTH_DATA: t.testdir(), DB_URI: url }
  const sentence =
    /^berth: migration 0001_\w+\.sql failed: relation "blobs" already exists; nothing was changed\. Berth needs a database of its own/
  await refuses(t, { env }, sentence)
  await refuses(t, { env }, sentence, ['migrate', emptyConfig])
  const tables = await client.query(
    `select table_name from information_schema.tables where table_schema = 'public' order by table_name`,
  )
  t.same(
    tables.rows.map(row => row.table_name),
    ['blobs', 'schema_migrations'],
  )
})

t.test('a database of a newer Berth', async t => {
  const url = await createTestDatabase(t, { migrate: migrateUrl })
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  const newest = Math.max(...(await readMigrations()).map(({ version }) => version))
  await client.query('insert into schema_migrations (version, name) values ($1, $2)', [newest + 5, 'later.sql'])
  await refuses(
    t,
    { env: { BERTH_DATA: t.testdir(), DB_URI: url } },
    /^berth: the database has the schema of a newer Berth/,
  )
})

t.test('a URL that can not be one', async t => {
  const env = { DB_URI: 'postgresql://berth:p w@ho st:port/berth', BERTH_DATA: t.testdir() }
  await refuses(t, { env }, /^berth: .*(DB_URI|database)/)
})

t.test('a data folder that is below a file', async t => {
  const file = join(t.testdir({ file: 'x' }), 'file')
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const sentence =
    /^berth: the folder .*file\/data can not be used for blobs \(.*ENOTDIR.*\): let the user \S+ write to it, or give another one in storage\.filesystem\.rootdirectory \(BERTH_DATA\)/
  await refuses(t, { env: { BERTH_DATA: join(file, 'data'), DB_URI } }, sentence)
  await refuses(t, { env: { BERTH_DATA: join(file, 'data') } }, sentence)
})

t.test('a data folder that may not be written to', async t => {
  if (!needsRoot(t) || needs(t, 'setpriv') === undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'berth-'))
  await chmod(folder, 0o755)
  t.teardown(() => rm(folder, { recursive: true }))
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  await refuses(
    t,
    { env: { BERTH_DATA: folder, DB_URI }, uid: 65_534 },
    /^berth: the folder .* can not be used for blobs \(.*EACCES.*\): let the user \S+ write to it/,
  )
  await refuses(
    t,
    { env: { BERTH_DATA: folder }, uid: 65_534 },
    /^berth: the folder .* can not be used for blobs \(.*EACCES/,
  )
})

t.test('a disk with no room for a file', async t => {
  const folder = await mountTmpfs(t, 'size=1m,nr_inodes=5')
  if (folder === undefined) return
  for (let full = false, count = 0; !full; count++)
    full = await writeFile(join(folder, `file-${count}`), '').then(
      () => false,
      () => true,
    )
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const sentence = /^berth: the disk of .* is full: make room on it, or give another folder in storage\.filesystem/
  await refuses(t, { env: { BERTH_DATA: folder, DB_URI } }, sentence)
})

t.test('a port that is taken', async t => {
  const port = await portOf(t, createServer())
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const env = { BERTH_DATA: t.testdir(), DB_URI, REGISTRY_HTTP_ADDR: `127.0.0.1:${port}` }
  await refuses(
    t,
    { env },
    new RegExp(`^berth: 127\\.0\\.0\\.1:${port} is taken by another program: stop that one, or set http\\.addr`),
  )
})

t.test('a port that is taken, with a Postgres of its own, which ends too', async t => {
  const port = await portOf(t, createServer())
  const folder = t.testdir()
  await refuses(
    t,
    { env: { BERTH_DATA: folder, REGISTRY_HTTP_ADDR: `127.0.0.1:${port}` } },
    /is taken by another program/,
  )
  t.same(await processesOf(folder), [])
})

t.test('certificates that can not be used are told before anything is started', async t => {
  const folder = t.testdir({ 'crt.pem': 'x', 'key.pem': 'y' })
  const env = {
    BERTH_DATA: join(folder, 'data'),
    REGISTRY_HTTP_TLS_CERTIFICATE: join(folder, 'crt.pem'),
    REGISTRY_HTTP_TLS_KEY: join(folder, 'key.pem'),
  }
  await refuses(t, { env }, /^berth: http\.tls: OpenSSL can not use .*crt\.pem/)
  await refuses(
    t,
    { env: { ...env, REGISTRY_HTTP_TLS_KEY: '/nowhere' } },
    /^berth: http\.tls\.key: the file \/nowhere can not be read/,
  )
})

t.test('a header that can not be sent', async t => {
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const env = { BERTH_DATA: t.testdir(), DB_URI, 'REGISTRY_HTTP_HEADERS_X-A': '["a\\nb"]' }
  await refuses(t, { env }, /^berth: http\.headers: "x-a" can not be sent/)
})

/** Has a server listen until the test ends. @returns its port */
async function portOf(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Processes that have this folder on their command line. */
async function processesOf(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(ids.map(id => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter(line => line.includes(folder))
}
