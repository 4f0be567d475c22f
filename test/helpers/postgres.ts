import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import rootTest, { type Test } from 'tap'
import { silentLog } from '../../server/lib/log.ts'
import { runToEnd } from '../../server/metadata/embedded/command.ts'
import { chooseAccount, createLauncher, type Launcher } from '../../server/metadata/embedded/launcher.ts'
import { startEmbeddedPostgres } from '../../server/metadata/embedded/postgres.ts'
import { readMigrations } from '../../server/metadata/migrate.ts'

/**
 * Databases for tests. One Postgres serves a whole run; `npm test` starts it and tells its URL, of a superuser, in
 * BERTH_TEST_DATABASE_URL. A test file that is run by itself, without the variable, brings one of its own.
 */

/** No one else's advisory lock in the database `postgres`: the letters "bert", and 2. */
const templateLock = [0x62657274, 2]
const templates = new Map<string, Promise<void>>()
let ownServer: Promise<string> | undefined

export interface TestDatabaseOptions {
  /**
   * Brings an empty database to the schema of the folder `migrations`. It is called once for a run and its result
   * cloned, for all who give one: so it must do nothing else. Without it the database is empty.
   */
  migrate?: (url: string) => Promise<void>
}

/** A database of this test's own, dropped with it. @returns its URL, of a superuser */
export async function createTestDatabase(t: Test, { migrate }: TestDatabaseOptions = {}): Promise<string> {
  const server = process.env['BERTH_TEST_DATABASE_URL'] ?? (await (ownServer ??= startOwnServer()))
  const template = migrate === undefined ? 'template1' : await templateMadeBy(migrate, server)
  const name = `test_${randomBytes(8).toString('hex')}`
  await administer(server, client => client.query(`create database ${name} template ${template} strategy file_copy`))
  t.teardown(() => administer(server, client => client.query(`drop database if exists ${name} with (force)`)))
  return withDatabase(server, name)
}

async function templateMadeBy(migrate: (url: string) => Promise<void>, server: string): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(await readMigrations()))
  const name = `berth_template_${hash.digest('hex').slice(0, 16)}`
  const made = templates.get(name) ?? administer(server, client => makeTemplate(client, { migrate, name, server }))
  templates.set(name, made)
  await made
  return name
}

interface Template {
  migrate: (url: string) => Promise<void>
  name: string
  server: string
}

/** Only the first process of a run that comes by makes it; only when it is whole is it marked as a template. */
async function makeTemplate(client: pg.Client, { migrate, name, server }: Template): Promise<void> {
  // Given back when the session ends.
  await client.query('select pg_advisory_lock($1, $2)', templateLock)
  const found = await client.query('select from pg_database where datname = $1 and datistemplate', [name])
  if (found.rowCount === 1) return
  await client.query(`drop database if exists ${name} with (force)`)
  await client.query(`create database ${name}`)
  await migrate(withDatabase(server, name))
  // A connection to it would keep it from being cloned.
  await client.query(`alter database ${name} with is_template true allow_connections false`)
}

async function startOwnServer(): Promise<string> {
  const folder = await makeQuickFolder('berth-postgres-')
  const postgres = await startEmbeddedPostgres({ folder, log: silentLog, fsync: false })
  rootTest.teardown(async () => {
    await postgres[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  return urlOf(postgres.administrator)
}

/**
 * A new folder for files by the thousand that a test run throws away: in memory where there is plenty, else on the
 * disk. Others may pass through it, as a Postgres that root starts has to.
 */
export async function makeQuickFolder(prefix: string): Promise<string> {
  const memory = await statfs('/dev/shm').catch(() => undefined)
  const plenty = memory !== undefined && memory.bavail * memory.bsize >= 2 ** 31
  const folder = await mkdtemp(join(plenty ? '/dev/shm' : tmpdir(), prefix))
  await chmod(folder, process.getuid?.() === 0 ? 0o711 : 0o700)
  return folder
}

/**
 * Debian's PostgreSQL 15 as an operator would have it: TCP on a free port of the loopback interface, a role `berth`
 * that is no superuser, with a password, and its database. It ends with the test.
 * @returns the URL of that database; undefined where `postgresql-15` is not installed
 */
export async function startDebianPostgres(t: Test): Promise<string | undefined> {
  const bin = '/usr/lib/postgresql/15/bin'
  if (!existsSync(join(bin, 'postgres'))) return undefined
  const folder = await makeQuickFolder('berth-debian-')
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const programs = { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb'), setpriv: 'setpriv', flock: 'flock' }
  const { launcher } = await createLauncher({ account: await chooseAccount(folder), programs, folder })
  const password = randomBytes(12).toString('hex')
  await initialize({ launcher, initdb: programs.initdb, folder, password })

  // Postgres can't ask the system for a port, and another process may be faster: then with the next.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const child = spawnDebian({ launcher, postgres: programs.postgres, folder, port })
    const server = urlOf({ user: 'postgres', password, host: '127.0.0.1', port, database: 'postgres' })
    if (await answers(child, server)) {
      t.teardown(() => end(child))
      await administer(server, async client => {
        await client.query(`create role berth login password '${password}'`)
        await client.query('create database berth owner berth')
      })
      return urlOf({ user: 'berth', password, host: '127.0.0.1', port, database: 'berth' })
    }
    await end(child)
    if (attempt === 5) throw new Error('PostgreSQL 15 does not start')
  }
}

interface DebianOptions {
  launcher: Launcher
  folder: string
}

async function initialize(options: DebianOptions & { initdb: string; password: string }): Promise<void> {
  const { launcher, folder, initdb, password } = options
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, password)
  if (launcher.account) await chown(folder, launcher.account.uid, launcher.account.gid)
  const args = ['--username=postgres', '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync']
  const command = launcher.command(initdb, [...args, `--pwfile=${passwordFile}`, join(folder, 'data')], 'KILL')
  const { code, output } = await runToEnd(command)
  if (code !== 0) throw new Error(`initdb of PostgreSQL 15 failed: ${output}`)
}

function spawnDebian(options: DebianOptions & { postgres: string; port: number }): ChildProcess {
  const { launcher, folder, postgres, port } = options
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off']
  const args = settings.flatMap(setting => ['-c', setting])
  const command = launcher.command(postgres, ['-D', join(folder, 'data'), ...args], 'INT')
  return spawn(command.file, command.args, { ...command.options, stdio: 'ignore' })
}

async function answers(child: ChildProcess, server: string): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    try {
      await administer(server, client => client.query('select 1'))
      return true
    } catch {
      await sleep(20)
    }
  }
  return false
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGINT')
  await exit
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function administer<T>(server: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** The URL of another database of the same server, whichever way its URL names a socket. */
function withDatabase(server: string, database: string): string {
  const { user, password, host, port } = new pg.Client({ connectionString: server })
  return urlOf({ user, password, host, port, database })
}

/** A folder stands where a host would: pg and libpq take it for that of the socket. */
export function urlOf({ user, password, host, port, database }: pg.ClientConfig): string {
  const [name, secret, at] = [user, password, host].map(part => encodeURIComponent(String(part ?? '')))
  return `postgresql://${name}:${secret}@${at}:${port}/${database}`
}
