import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { silentLog } from '../../server/lib/log.ts'
import { findPrograms } from '../../server/metadata/embedded/programs.ts'
import { startEmbeddedPostgres } from '../../server/metadata/embedded/postgres.ts'
import t from 'tap'
import { makeQuickFolder } from '../helpers/postgres.ts'
import {
  ask,
  isRoot,
  keepLog,
  kill,
  makeFolder,
  makeUsedFolder,
  noProcesses,
  postmasterOf,
  startBerth,
} from './fixtures/embedded.ts'

const log = silentLog
/** An ordinary user that every system has; not the one as whom a root's Postgres runs where there is `postgres`. */
const daemon = 1
// Without tap's environment too, by which every process would write into the checkout.
const asUser = (uid: number) => ['-i', 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']

const needsRoot = isRoot ? false : 'needs root'
const needsOthers = needsRoot || (await othersMayRunNode()) ? needsRoot : 'needs a checkout that every user may enter'

async function othersMayRunNode(): Promise<boolean> {
  return promisify(execFile)('env', ['-i', ...asUser(daemon), process.execPath, '--version']).then(
    () => true,
    () => false,
  )
}

async function statusOf(pid: number): Promise<{ uid: number; capabilities: string }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return { uid: Number(/^Uid:\s+(\d+)/m.exec(text)?.[1]), capabilities: /^CapEff:\s+(\w+)/m.exec(text)?.[1] ?? '' }
}

/** The binaries of Postgres, copied below a folder. */
async function copyPrograms(into: string) {
  const { postgres } = await findPrograms()
  const native = join(into, 'native')
  await promisify(execFile)('cp', ['-a', dirname(dirname(postgres)), native])
  return { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') }
}

t.test('started by root, Postgres runs as another user, to whom its data belongs', { skip: needsRoot }, async t => {
  const folder = await makeUsedFolder(t)
  await using postgres = await startEmbeddedPostgres({ folder, log, fsync: false })
  const { uid, capabilities } = await statusOf(await postmasterOf(folder))
  t.not(uid, 0)
  t.equal(capabilities, '0000000000000000')
  t.equal((await stat(join(folder, 'cluster'))).uid, uid)
  t.equal((await stat(join(folder, 'run'))).uid, uid)
  t.match(await stat(join(folder, 'password')), { uid: 0 })
  t.match(await stat(folder), { uid: 0 })
  t.strictSame(await ask(postgres.connection, 'select 1 as n'), [{ n: 1 }])
})

t.test("data that became root's, as by a copy, is given back", { skip: needsRoot }, async t => {
  const folder = await makeUsedFolder(t)
  await promisify(execFile)('chown', ['-R', '0:0', folder])
  await chmod(join(folder, 'cluster'), 0o755)
  await using postgres = await startEmbeddedPostgres({ folder, log, fsync: false })
  t.strictSame(await ask(postgres.connection, 'select 1 as n'), [{ n: 1 }])
})

t.test('data and programs below a folder that only root may enter', { skip: needsRoot }, async t => {
  const closed = await makeQuickFolder('berth-closed-')
  t.teardown(() => rm(closed, { recursive: true, force: true }))
  await chmod(closed, 0o700)
  const programs = await copyPrograms(closed)
  const folder = join(closed, 'data', 'postgres')

  await t.test('are of use by the one right to pass', async t => {
    const berth = startBerth(t, { folder, programs })
    const { connection } = await berth.until('ready')
    const { uid, capabilities } = await statusOf(await postmasterOf(folder))
    t.not(uid, 0)
    t.equal(capabilities, '0000000000000004', 'CAP_DAC_READ_SEARCH and no other')
    await ask(connection, 'create extension pg_trgm; create table kept (n int)')
    await berth.crash()
    await noProcesses(folder)
    await using again = await startEmbeddedPostgres({ folder, log, programs })
    t.strictSame(await ask(again.connection, 'select * from kept'), [])
  })

  await t.test('and where that can not be had, the error says what to do', async t => {
    const without = { ...programs, setpriv: '/nonexistent/setpriv' }
    await t.rejects(startEmbeddedPostgres({ folder, log, programs: without }), {
      name: 'PostgresFailed',
      message: /may not enter .*berth-closed-.*setpriv of util-linux, is missing.*as an ordinary user/,
    })
    // As in a container, whose root lacks most rights.
    const prefix = ['setpriv', '--bounding-set=-dac_read_search']
    const berth = startBerth(t, { folder, programs, prefix })
    t.match(await berth.until('failed'), { message: /may not enter .*is refused \(.*as an ordinary user/ })
  })
})

t.test('the root of a container, whose rights are few, can do it all', { skip: needsRoot }, async t => {
  const folder = await makeUsedFolder(t)
  // What container engines leave to root unless they are told otherwise.
  const rights = ['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap']
  const prefix = ['setpriv', `--bounding-set=-all,${rights.map(right => `+${right}`).join(',')}`]
  const withoutSetpriv = { setpriv: '/nonexistent/setpriv' }

  const first = startBerth(t, { folder, prefix, programs: withoutSetpriv })
  const { connection } = await first.until('ready')
  await ask(connection, 'create table kept (n int)')
  await first.crash()

  const second = startBerth(t, { folder, prefix })
  await second.until('ready')
  t.ok(await second.until('embedded postgres of an earlier run is still there, stopping it'))
  kill(await postmasterOf(folder), 'SIGKILL')
  await second.until('embedded postgres is back')
  t.strictSame(await ask(connection, 'select * from kept'), [])
  await second.crash()
  await noProcesses(folder)
})

t.test('programs without the links that npm makes are told of', async t => {
  const folder = await makeFolder(t)
  await mkdir(dirname(folder))
  const programs = await copyPrograms(dirname(folder))
  for (const name of ['libicuuc.so.60', 'libicui18n.so.60']) {
    await rm(join(dirname(programs.postgres), '..', 'lib', name))
  }
  await t.rejects(startEmbeddedPostgres({ folder, log, programs }), { message: /run npm rebuild/ })
})

t.test('an ordinary user runs it as itself, with an empty environment', { skip: needsOthers }, async t => {
  const folder = await makeFolder(t)
  await mkdir(dirname(folder))
  await chown(dirname(folder), daemon, daemon)
  const berth = startBerth(t, { folder, fsync: false, prefix: asUser(daemon) })
  const { connection } = await berth.until('ready')
  t.match(await statusOf(await postmasterOf(folder)), { uid: daemon, capabilities: '0000000000000000' })
  await ask(connection, 'create table kept (n int)')
  for (const name of ['cluster', 'run', 'password', 'lock', '.']) {
    const { uid, mode } = await stat(join(folder, name))
    t.match({ name, uid, others: mode & 0o077 }, { name, uid: daemon, others: 0 })
  }

  await t.test('and Postgres ends with it', async () => {
    await berth.crash()
    await noProcesses(folder)
  })

  await t.test('then root goes on as that user', async t => {
    await using postgres = await startEmbeddedPostgres({ folder, log, fsync: false })
    t.match(await statusOf(await postmasterOf(folder)), { uid: daemon })
    t.strictSame(await ask(postgres.connection, 'select * from kept'), [])
  })

  await t.test('and it goes on after root', async t => {
    const again = startBerth(t, { folder, fsync: false, prefix: asUser(daemon) })
    const ready = await again.until('ready')
    t.strictSame(await ask(ready['connection'], 'select * from kept'), [])
    await again.stop()
  })

  await t.test('but not another user, who is told how to', async t => {
    await chmod(folder, 0o755)
    const other = startBerth(t, { folder, prefix: asUser(2) })
    t.match(await other.until('failed'), { name: 'PostgresFailed', message: `chown -R 2 ${folder}` })
  })
})

t.test('a user without a name is told that Postgres wants one', { skip: needsOthers }, async t => {
  const folder = await makeFolder(t)
  await mkdir(dirname(folder))
  await chown(dirname(folder), 54_321, 54_321)
  const berth = startBerth(t, { folder, prefix: asUser(54_321) })
  t.match(await berth.until('failed'), { message: /without a name \(uid 54321\): add a line for it to \/etc\/passwd/ })
})

t.test('without setpriv it runs all the same', async t => {
  const folder = await makeFolder(t)
  const lines = keepLog()
  const programs = { setpriv: '/nonexistent/setpriv' }
  await using postgres = await startEmbeddedPostgres({ folder, log: lines, fsync: false, programs })
  t.strictSame(await ask(postgres.connection, 'select 1 as n'), [{ n: 1 }])
  if (process.getuid?.() === 0) t.not((await statusOf(await postmasterOf(folder))).uid, 0)
})
