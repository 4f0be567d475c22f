import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLog } from '../../server/lib/log.ts'
import { findProcesses, isAlive } from '../../server/metadata/embedded/processes.ts'
import { startEmbeddedPostgres } from '../../server/metadata/embedded/postgres.ts'
import t, { type Test } from 'tap'
import {
  ask,
  askUntilAnswered,
  type Berth,
  eventually,
  isRoot,
  keepLog,
  kill,
  makeFolder,
  makeUsedFolder,
  noProcesses,
  postmasterOf,
  startBerth,
  temporariesIn,
} from './fixtures/embedded.ts'

const log = silentLog
const lockHolders = `select application_name as name from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory'`

/** Starts on the folder and sees that all is well, and that what was committed is there. */
async function startsWell(t: Test, folder: string): Promise<void> {
  await using postgres = await startEmbeddedPostgres({ folder, log, fsync: false })
  t.match(await ask(postgres.connection, 'select count(*)::int as tables from pg_tables'), [{ tables: Number }])
  t.strictSame(await ask(postgres.administrator, lockHolders), [{ name: `berth ${process.pid}` }])
  t.strictSame(await temporariesIn(folder), [])
}

t.test('a first start that is killed at any moment leaves nothing that stops the next', async t => {
  const moments: { when: string; killed: (berth: Berth, folder: string) => Promise<unknown> }[] = [
    {
      when: 'when the cluster is begun',
      killed: (_, folder) => eventually('it is begun', async () => (await temporariesIn(folder)).length > 0),
    },
    {
      when: 'when half of it is there',
      killed: async (_, folder) =>
        eventually('half is there', async () => {
          const [name] = await temporariesIn(folder)
          return name !== undefined && (await exists(join(folder, name, 'data', 'global', 'pg_control')))
        }),
    },
    {
      when: 'when it is in its place',
      killed: async (_, folder) => eventually('it is in its place', () => exists(join(folder, 'cluster'))),
    },
    { when: 'when Postgres begins', killed: berth => berth.until('embedded postgres reports') },
  ]
  for (const { when, killed } of moments) {
    await t.test(when, async t => {
      const folder = await makeFolder(t)
      const berth = startBerth(t, { folder, fsync: false })
      await killed(berth, folder)
      await berth.crash()
      t.notOk(berth.said.some(({ event }) => event === 'ready'))
      await startsWell(t, folder)
    })
  }
})

t.test('Postgres ends by itself when Berth is killed, and what was committed is there afterwards', async t => {
  const folder = await makeUsedFolder(t)
  const berth = startBerth(t, { folder })
  const { connection } = await berth.until('ready')
  await ask(connection, 'create table kept (n int); insert into kept values (1)')
  await berth.crash()
  await noProcesses(folder)
  await using postgres = await startEmbeddedPostgres({ folder, log })
  t.strictSame(await ask(postgres.connection, 'select n from kept'), [{ n: 1 }])
})

t.test('where Postgres does not end by itself, the next start takes over from it', async t => {
  const folder = await makeUsedFolder(t)
  const berth = startBerth(t, { folder, programs: { setpriv: '/nonexistent/setpriv' } })
  const { connection } = await berth.until('ready')
  await ask(connection, 'create table kept (n int); insert into kept values (1)')
  const orphan = await postmasterOf(folder)
  await berth.crash()
  t.strictSame(await ask(connection, 'select n from kept'), [{ n: 1 }], 'it serves on without Berth')

  const lines = keepLog()
  await using postgres = await startEmbeddedPostgres({ folder, log: lines })
  t.strictSame(await ask(postgres.connection, 'select n from kept'), [{ n: 1 }])
  t.notOk(await isAlive(orphan))
  t.match(
    lines.lines.filter(({ level }) => level === 'warn'),
    [{ text: 'embedded postgres of an earlier run is still there, stopping it', fields: { pid: orphan } }],
  )
})

t.test('while an orphan is still shutting down, the next start waits for it', async t => {
  const folder = await makeUsedFolder(t)
  const berth = startBerth(t, { folder })
  await berth.until('ready')
  const orphan = await postmasterOf(folder)
  // Stopped, it takes no notice yet of the signal that the kernel sends it.
  kill(orphan, 'SIGSTOP')
  await berth.crash()
  const starting = startEmbeddedPostgres({ folder, log })
  const early = await Promise.race([starting, new Promise(resolve => setTimeout(resolve, 300, 'waiting'))])
  t.equal(early, 'waiting')
  kill(orphan, 'SIGCONT')
  await using postgres = await starting
  t.strictSame(await ask(postgres.connection, 'select 1 as n'), [{ n: 1 }])
})

t.test('a killed postmaster is replaced, and the lock taken again', async t => {
  const folder = await makeUsedFolder(t)
  const lines = keepLog()
  await using postgres = await startEmbeddedPostgres({ folder, log: lines })
  await ask(postgres.connection, 'create table kept (n int); insert into kept values (1)')
  const before = await findProcesses(join(folder, 'cluster'))
  kill(await postmasterOf(folder), 'SIGKILL')
  t.strictSame(await askUntilAnswered(postgres.connection, 'select n from kept'), [{ n: 1 }])
  await eventually('it is back', async () => lines.lines.some(({ text }) => text === 'embedded postgres is back'))
  t.strictSame(await ask(postgres.administrator, lockHolders), [{ name: `berth ${process.pid}` }])
  t.strictSame(
    await Promise.all(before.map(isAlive)),
    before.map(() => false),
  )
  t.match(
    lines.lines.filter(({ level }) => level === 'error'),
    [{ text: 'embedded postgres ended, starting it again', fields: { signal: 'SIGKILL' } }],
  )
})

t.test('a backend that goes on computing without its postmaster does not stop the next', async t => {
  const folder = await makeUsedFolder(t)
  await using postgres = await startEmbeddedPostgres({ folder, log, fsync: false })
  const computing = ask(postgres.connection, 'do $$ begin loop end loop; end $$')
  const ends = t.rejects(computing)
  await eventually('it computes', async () => {
    const busy = await ask(postgres.administrator, `select from pg_stat_activity where query like 'do %'`)
    return busy.length === 1
  })
  kill(await postmasterOf(folder), 'SIGKILL')
  t.strictSame(await askUntilAnswered(postgres.connection, 'select 1 as n'), [{ n: 1 }])
  await ends
})

t.test('a killed backend costs the connections, not the Postgres nor the lock', async t => {
  const folder = await makeUsedFolder(t)
  const lines = keepLog()
  await using postgres = await startEmbeddedPostgres({ folder, log: lines, fsync: false })
  const postmaster = await postmasterOf(folder)
  const [backend] = await ask<{ pid: number }>(
    postgres.administrator,
    `select pid from pg_stat_activity where application_name like 'berth %'`,
  )
  kill(backend?.pid ?? 0, 'SIGKILL')
  await eventually('the lock is taken again', async () =>
    lines.lines.some(({ text }) => text === 'embedded postgres closed the connection of its lock, it is taken again'),
  )
  t.strictSame(await askUntilAnswered(postgres.administrator, lockHolders), [{ name: `berth ${process.pid}` }])
  t.equal(await postmasterOf(folder), postmaster)
  t.match(
    lines.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields),
    [{ text: /was terminated by signal 9/ }, {}],
  )
})

t.test('when every process of Postgres is killed at once, it comes back', async t => {
  const folder = await makeUsedFolder(t)
  await using postgres = await startEmbeddedPostgres({ folder, log })
  await ask(postgres.connection, 'create table kept (n int); insert into kept values (1)')
  for (const pid of await findProcesses(join(folder, 'cluster'))) kill(pid, 'SIGKILL')
  t.strictSame(await askUntilAnswered(postgres.connection, 'select n from kept'), [{ n: 1 }])
})

t.test('it gives up when Postgres can not be started again, and says so', async t => {
  const folder = await makeUsedFolder(t)
  const lines = keepLog()
  await using postgres = await startEmbeddedPostgres({ folder, log: lines, fsync: false, restartDelays: [0, 10, 20] })
  const control = join(folder, 'cluster', 'global', 'pg_control')
  const kept = await readFile(control)
  await writeFile(control, 'damaged')
  kill(await postmasterOf(folder), 'SIGKILL')
  t.match(await postgres.failure, {
    name: 'PostgresFailed',
    message: 'did not start again in 3 attempts',
    cause: { message: /does not start: .*pg_control/ },
  })
  t.strictSame(
    lines.lines
      .filter(({ level, text }) => level !== 'debug' && text !== 'embedded postgres reports trouble')
      .map(line => line.text),
    [
      'embedded postgres ready',
      'embedded postgres ended, starting it again',
      ...Array<string>(3).fill('embedded postgres could not be started again'),
      'embedded postgres given up',
    ],
  )
  await postgres[Symbol.asyncDispose]()
  t.strictSame(await findProcesses(join(folder, 'cluster')), [])
  await writeFile(control, kept)
  await startsWell(t, folder)
})

t.test('once it is being stopped, nothing is started again', async t => {
  const folder = await makeUsedFolder(t)
  const postgres = await startEmbeddedPostgres({ folder, log, fsync: false })
  kill(await postmasterOf(folder), 'SIGKILL')
  await postgres[Symbol.asyncDispose]()
  t.strictSame(await findProcesses(join(folder, 'cluster')), [])
  await startsWell(t, folder)
})

t.test('Ctrl-C in a terminal does not take Postgres from a Berth that drains', async t => {
  const folder = await makeUsedFolder(t)
  const berth = startBerth(t, { folder, fsync: false })
  const { connection } = await berth.until('ready')
  process.kill(-berth.pid, 'SIGINT')
  await berth.until('interrupted')
  t.strictSame(await ask(connection, 'select 1 as n'), [{ n: 1 }])
  await berth.stop()
  t.ok(berth.said.some(({ event }) => event === 'stopped'))
  t.strictSame(await findProcesses(join(folder, 'cluster')), [])
})

/** A process of the user that Postgres runs as, which is not Postgres. */
async function startStranger(t: Test, folder: string, script: string): Promise<ChildProcess> {
  const { uid, gid } = await stat(join(folder, 'cluster'))
  const child = spawn('sh', ['-c', script], { uid, gid, stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

t.test('lock files that a crash left do not stop the start', async t => {
  const folder = await makeUsedFolder(t)
  const first = startBerth(t, { folder, fsync: false })
  const { connection } = await first.until('ready')
  const { host } = connection as { host: string }
  const files = [join(folder, 'cluster', 'postmaster.pid'), join(host, '.s.PGSQL.5432.lock')]
  for (const pid of [...(await findProcesses(join(folder, 'cluster'))), first.pid]) kill(pid, 'SIGKILL')
  await first.ended
  await noProcesses(folder)
  const left = await Promise.all(files.map(file => readFile(file, 'utf8')))
  const { uid, gid } = await stat(join(folder, 'cluster'))

  async function leave(pid: string) {
    for (const [index, file] of files.entries()) {
      await writeFile(file, (left[index] ?? '').replace(/^-?\d+/, pid))
      if (isRoot) await chown(file, uid, gid)
    }
  }

  await t.test('whose process has ended', async t => startsWell(t, folder))

  await t.test('whose process id belongs to another process by now', async t => {
    const stranger = await startStranger(t, folder, 'exec sleep 60')
    await leave(String(stranger.pid))
    await startsWell(t, folder)
    t.ok(await isAlive(stranger.pid ?? 0), 'which is let alone')
  })

  await t.test('whose process id belongs to a zombie', async t => {
    // The shell becomes a program that never asks how its child ended; had that ended before, the shell would.
    const stranger = await startStranger(t, folder, 'sleep 0.5 & echo $!; exec sleep 60')
    const [line] = (await once(stranger.stdout ?? process.stdin, 'data')) as [Buffer]
    const zombie = Number(line.toString())
    await eventually('it is a zombie', async () => /\) Z /.test(await readFile(`/proc/${zombie}/stat`, 'utf8')))
    await leave(String(zombie))
    await startsWell(t, folder)
  })

  await t.test('which were not written in full', async t => {
    for (const file of files) await writeFile(file, '')
    await startsWell(t, folder)
  })
})

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
