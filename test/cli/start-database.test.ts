import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import pg from 'pg'
import t from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { readMigrations } from '../../server/metadata/migrate.ts'
import { createTestDatabase, urlOf } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { emptyConfig, portOf, refuses } from './refuses.ts'

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
