import { chown, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLog } from '../../server/lib/log.ts'
import { DataFolderInUse, PostgresFailed } from '../../server/metadata/embedded/errors.ts'
import { findProcesses } from '../../server/metadata/embedded/processes.ts'
import { startEmbeddedPostgres } from '../../server/metadata/embedded/postgres.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ask, isRoot, keepLog, makeFolder, makeUsedFolder, startBerth, temporariesIn } from './fixtures/embedded.ts'

const log = silentLog
const noFlock = { flock: '/nonexistent/flock' }

t.test('the first start makes a database of its own, later ones keep it', async t => {
  const folder = await makeFolder(t)
  const began = performance.now()
  const first = await startEmbeddedPostgres({ folder, log })
  const firstMs = performance.now() - began
  t.match(
    await ask(
      first.connection,
      `select current_user::text as role, current_database() as database,
      pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, datlocale as locale, datcollate as collate,
      (select rolsuper from pg_roles where rolname = current_user) as superuser
      from pg_database where datname = current_database()`,
    ),
    [
      {
        role: 'berth',
        database: 'berth',
        encoding: 'UTF8',
        provider: 'b',
        locale: 'C',
        collate: 'C',
        superuser: false,
      },
    ],
  )
  await ask(first.connection, 'create extension pg_trgm; create table kept (n int); insert into kept values (1)')
  await first[Symbol.asyncDispose]()
  t.strictSame(await findProcesses(join(folder, 'cluster')), [])

  const again = performance.now()
  await using second = await startEmbeddedPostgres({ folder, log })
  const laterMs = performance.now() - again
  t.strictSame(await ask(second.connection, 'select n from kept'), [{ n: 1 }])
  t.strictSame(second.connection, first.connection)
  t.strictSame(await temporariesIn(folder), [])
  t.comment(`first start ${Math.round(firstMs)} ms, later start ${Math.round(laterMs)} ms`)
  // What it takes on an idle machine is a third of it.
  t.ok(firstMs < 6_000 && laterMs < 2_000, `${firstMs} ms, then ${laterMs} ms`)
})

t.test('what is committed is on the disk, and nothing but a socket for its owner is listened on', async t => {
  const folder = await makeUsedFolder(t)
  await using postgres = await startEmbeddedPostgres({ folder, log })
  const settings = await ask(
    postgres.administrator,
    `select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit',
      'listen_addresses', 'shared_buffers', 'max_connections', 'wal_level', 'io_method', 'jit') order by name`,
  )
  t.strictSame(settings, [
    { name: 'fsync', setting: 'on' },
    { name: 'full_page_writes', setting: 'on' },
    { name: 'io_method', setting: 'sync' },
    { name: 'jit', setting: 'off' },
    { name: 'listen_addresses', setting: '' },
    { name: 'max_connections', setting: '40' },
    { name: 'shared_buffers', setting: '4096' },
    { name: 'synchronous_commit', setting: 'on' },
    { name: 'wal_level', setting: 'minimal' },
  ])
  t.equal(postgres.connection.host, join(folder, 'run'))
  t.equal((await stat(join(folder, 'run'))).mode & 0o777, 0o700)
  const password = await stat(join(folder, 'password'))
  t.equal(password.mode & 0o777, 0o600)
  t.equal(password.uid, process.getuid?.())
  await t.rejects(ask({ ...postgres.connection, password: 'guessed' }, 'select 1'), { code: '28P01' })
})

t.test('a start for tests gives up durability, and settings may be added', async t => {
  await using postgres = await startEmbeddedPostgres({
    folder: await makeUsedFolder(t),
    log,
    fsync: false,
    settings: { max_connections: '77' },
  })
  t.strictSame(
    await ask(
      postgres.administrator,
      `select current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as commit, current_setting('max_connections') as connections`,
    ),
    [{ fsync: 'off', commit: 'off', connections: '77' }],
  )
})

t.test('with a path too long for a socket, it listens below the folder for temporary files', async t => {
  const folder = join(await makeFolder(t), `${'long'.repeat(20)}, "quoted"`)
  const first = await startEmbeddedPostgres({ folder, log, fsync: false })
  const { host = '' } = first.connection
  t.notMatch(host, folder)
  t.equal((await stat(host)).mode & 0o777, 0o700)
  t.strictSame(await ask(first.connection, 'select 1 as n'), [{ n: 1 }])
  await first[Symbol.asyncDispose]()
  await t.rejects(stat(host), { code: 'ENOENT' })

  await t.test('but never in a place that is not its own', async t => {
    const elsewhere = t.testdir()
    await symlink(elsewhere, host)
    t.teardown(() => rm(host, { recursive: true, force: true }))
    await t.rejects(startEmbeddedPostgres({ folder, log, fsync: false }), PostgresFailed)
    await rm(host)
    if (!isRoot) return
    await mkdir(host)
    await chown(host, 12_345, 12_345)
    await t.rejects(startEmbeddedPostgres({ folder, log, fsync: false }), {
      name: 'PostgresFailed',
      message: /is not a folder of Berth's: remove it/,
    })
    t.equal((await stat(host)).uid, 12_345, 'and leaves it as it is')
  })
})

for (const programs of [{}, noFlock]) {
  const how = programs === noFlock ? ', even where files can not be locked' : ''
  t.test(`a second Berth on a folder in use is turned away and harms nothing${how}`, async t => {
    const folder = await makeUsedFolder(t)
    const first = startBerth(t, { folder, fsync: false, programs })
    const { connection } = await first.until('ready')
    await ask(connection, 'create table kept (n int)')
    const error = await startEmbeddedPostgres({ folder, log, fsync: false, programs }).catch((error: unknown) => error)
    t.ok(error instanceof DataFolderInUse)
    t.match(error, { folder, pid: first.pid, message: `${folder} is in use by another Berth (process ${first.pid})` })
    t.strictSame(await ask(connection, 'select * from kept'), [])
    await first.stop()
    t.notMatch(
      first.said.map(line => line['text']),
      ['embedded postgres ended, starting it again'],
    )
  })

  t.test(`of two Berths that start on an empty folder at the same moment, exactly one wins${how}`, async t => {
    const folder = await makeFolder(t)
    const berths = [1, 2].map(() => startBerth(t, { folder, fsync: false, programs }))
    const outcomes = await Promise.all(berths.map(berth => Promise.race([berth.until('ready'), berth.until('failed')])))
    t.strictSame(outcomes.map(({ event }) => event).toSorted(), ['failed', 'ready'])
    t.match(
      outcomes.find(({ event }) => event === 'failed'),
      { name: 'DataFolderInUse' },
    )
    const winner = outcomes.find(({ event }) => event === 'ready')
    t.strictSame(await ask(winner?.['connection'], 'select 1 as n'), [{ n: 1 }])
    t.strictSame(await temporariesIn(folder), [])
  })
}

t.test('the lock is there for all to see who ask that Postgres', async t => {
  await using postgres = await startEmbeddedPostgres({ folder: await makeUsedFolder(t), log, fsync: false })
  const holders = `select application_name as name from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory'`
  t.strictSame(await ask(postgres.administrator, holders), [{ name: `berth ${process.pid}` }])
})

t.test('data that this Berth can not serve is left alone, and the error says what to do', async t => {
  const folder = await makeUsedFolder(t)
  const cluster = join(folder, 'cluster')

  await writeFile(join(cluster, 'PG_VERSION'), '15\n')
  await t.rejects(startEmbeddedPostgres({ folder, log }), {
    name: 'PostgresFailed',
    message: /has the data of Postgres 15, but this Berth brings Postgres 18: .* pg_dump/,
  })
  await rm(join(cluster, 'PG_VERSION'))
  await t.rejects(startEmbeddedPostgres({ folder, log }), { message: /is no data folder of Postgres/ })
  await writeFile(join(cluster, 'PG_VERSION'), '18\n')
  await rm(join(cluster, 'global', 'pg_control'))
  await t.rejects(startEmbeddedPostgres({ folder, log }), { message: /does not start: .*pg_control/ })
  await rm(join(folder, 'password'))
  await t.rejects(startEmbeddedPostgres({ folder, log }), { message: /its password, .* is missing: restore it/ })
  t.ok((await readdir(cluster)).includes('base'))
  t.strictSame(await findProcesses(cluster), [])
})

t.test('programs that do not start are told of, with what to do', async t => {
  const folder = await makeUsedFolder(t)
  await t.rejects(startEmbeddedPostgres({ folder, log, programs: { postgres: '/nonexistent/postgres' } }), {
    name: 'PostgresFailed',
    message: /install Berth's packages anew/,
  })
  await t.rejects(startEmbeddedPostgres({ folder: '/etc/passwd/postgres', log }), {
    name: 'PostgresFailed',
    message: /see that Berth's user may make it/,
  })
})

t.test('stopping twice is stopping once, with clients in the middle of their work', async t => {
  const folder = await makeUsedFolder(t)
  const lines = keepLog()
  const postgres = await startEmbeddedPostgres({ folder, log: lines, fsync: false })
  const working = ask(postgres.connection, 'select pg_sleep(60)')
  const refused = t.rejects(working, { code: '57P01' })
  // One that is still logging in is cut off without a word.
  const isWorking = `select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)'`
  while ((await ask(postgres.administrator, isWorking)).length === 0) await sleep(10)
  await Promise.all([postgres[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()])
  await postgres[Symbol.asyncDispose]()
  await refused
  t.strictSame(await findProcesses(join(folder, 'cluster')), [])
  t.strictSame(
    lines.lines.filter(({ level }) => level !== 'debug').map(({ text }) => text),
    ['embedded postgres ready', 'embedded postgres stopped'],
    'and the log has nothing to fear',
  )
})
