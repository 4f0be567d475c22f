import { chown, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask } from '../../conformance/http.ts'
import { attempt, type StartedProcess } from '../../conformance/process.ts'
import { projectFolder } from '../../conformance/programs.ts'
import { findPostmaster, findProcesses } from '../../server/metadata/embedded/processes.ts'
import { digestOf } from '../../server/oci/digest.ts'
import { needs, needsRoot } from '../helpers/needs.ts'
import { launchProgram, type Program, startProgram } from '../helpers/processes.ts'
import { endPostgres, makeDataFolder } from './folders.ts'
import { createRandom, seedOf } from './random.ts'
import { kill, treeOf } from './tree.ts'

/** Starts and ends of the program, as `npm start` runs it. */

/** On a machine with nothing else to do it takes a fifth of that. */
const firstStartMs = 10_000
const laterStartMs = 5_000

const content = Buffer.from('kept over all starts')
const blobPath = `/v2/starts/kept/blobs/${digestOf(content)}`

async function pushContent({ url }: Program): Promise<void> {
  const path = `${url}/v2/starts/kept/blobs/uploads/?digest=${digestOf(content)}`
  const { status } = await ask(path, {
    method: 'POST',
    headers: { 'content-length': String(content.length) },
    body: content,
  })
  if (status !== 201) throw new Error(`a blob was answered with ${status}`)
}

async function checkContent(t: Test, { url }: { url: string }): Promise<void> {
  t.equal((await ask(`${url}${blobPath}`)).body.toString(), content.toString(), 'what was pushed is there')
}

/** Processes need a moment to go, after the one that they belong to. */
async function untilGone(pids: readonly number[]): Promise<number[]> {
  const until = performance.now() + 10_000
  for (;;) {
    const left = pids.filter(pid => treeOf(pid).length > 0)
    if (left.length === 0 || performance.now() > until) return left
    await sleep(20)
  }
}

t.setTimeout(240_000)

t.test('the first start is quick, later ones are quicker, and what was pushed is there', async t => {
  const data = await makeDataFolder(t)
  const first = await startProgram(t, { data })
  await pushContent(first)
  t.match(await first.stop(), { code: 0 })
  const later = await startProgram(t, { data })
  await checkContent(t, later)
  t.comment(`ready after ${Math.round(first.readyMs)} ms the first time, ${Math.round(later.readyMs)} ms later`)
  t.ok(first.readyMs < firstStartMs, 'the first time')
  t.ok(later.readyMs < laterStartMs, 'later')
  kill(later.pid)
  await later.exited
  const afterKill = await startProgram(t, { data })
  t.comment(`ready after ${Math.round(afterKill.readyMs)} ms when the one before was killed`)
  t.ok(afterKill.readyMs < laterStartMs, 'after a kill')
  await checkContent(t, afterKill)
})

t.test('a second start on one data folder says so and leaves, the first goes on', async t => {
  const data = await makeDataFolder(t)
  const first = await startProgram(t, { data })
  await pushContent(first)
  const second = await launchProgram(t, { data })
  t.strictSame(await second.exited, { code: 1, signal: undefined })
  t.match(second.stderr(), `in use by another Berth (process ${first.pid})`)
  t.match(second.stderr(), /stop that one first, or give this one a data folder of its own/)
  await checkContent(t, first)
  t.match(await first.stop(), { code: 0 })
})

t.test('of several starts at the same moment on a new folder one serves', async t => {
  const data = await makeDataFolder(t)
  const all = await Promise.all(Array.from({ length: 4 }, () => launchProgram(t, { data })))
  const ends = all.map(one => one.exited.then(() => one))
  // All but one end by themselves.
  const ended = new Set<StartedProcess>()
  for (const _ of all.slice(1)) ended.add(await Promise.race(ends.filter((_, at) => !ended.has(all[at] ?? first(all)))))
  const left = all.filter(one => !ended.has(one))
  t.equal(left.length, 1)
  for (const one of ended) {
    t.match(await one.exited, { code: 1 })
    t.match(one.stderr(), /is in use by another Berth/)
  }
  const [winner] = left
  t.ok(await answers(`http://127.0.0.1:${winner?.port}/v2/`), 'the one that is left serves')
})

function first<T>([item]: readonly T[]): T {
  if (item === undefined) throw new Error('there is none')
  return item
}

async function answers(url: string): Promise<boolean> {
  const until = performance.now() + 20_000
  while (performance.now() < until) {
    const status = await ask(url).then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200) return true
    await sleep(30)
  }
  return false
}

const endings: Record<string, (program: Program) => void> = {
  SIGTERM: ({ pid }) => void kill(pid, 'SIGTERM'),
  'Ctrl-C in its terminal': ({ pid }) => void process.kill(-pid, 'SIGINT'),
}

for (const [name, end] of Object.entries(endings)) {
  t.test(`${name} leaves no process and no open connection`, async t => {
    const data = await makeDataFolder(t)
    const program = await startProgram(t, { data })
    await pushContent(program)
    // A client that has asked for something and keeps its connection.
    const idle = connect(program.port, '127.0.0.1')
    idle.on('error', () => {})
    idle.write('GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n')
    await new Promise(resolve => idle.once('data', resolve))
    const pids = treeOf(program.pid)
    t.ok(pids.length > 3, 'Berth and its Postgres')
    const began = performance.now()
    end(program)
    t.strictSame(await program.exited, { code: 0, signal: undefined })
    t.comment(`ended after ${Math.round(performance.now() - began)} ms`)
    t.strictSame(await untilGone(pids), [])
    t.strictSame(await findProcesses(join(data, 'postgres', 'cluster')), [])
    t.equal(program.stderr(), '')
    idle.destroy()
  })
}

t.test('who asks twice to stop does not wait for a slow upload, and nothing is left either', async t => {
  const data = await makeDataFolder(t)
  const program = await startProgram(t, { data })
  const { headers } = await ask(`${program.url}/v2/starts/slow/blobs/uploads/`, { method: 'POST' })
  const slow = connect(program.port, '127.0.0.1')
  slow.on('error', () => {})
  slow.write(`PATCH ${new URL(String(headers.location)).pathname} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx`)
  await sleep(100)
  const pids = treeOf(program.pid)
  // A terminal and a launcher may both pass one Ctrl-C on.
  kill(program.pid, 'SIGINT')
  await sleep(50)
  kill(program.pid, 'SIGINT')
  await sleep(800)
  t.ok(treeOf(program.pid).length > 0, 'the first time it waits')
  const began = performance.now()
  kill(program.pid, 'SIGINT')
  t.match(await program.exited, { code: 130 }, 'as a shell would say it of an interrupt')
  t.ok(performance.now() - began < 2000, 'the second time it does not')
  t.strictSame(await untilGone(pids), [])
  slow.destroy()
})

t.test('a first start that was killed at any moment does not spoil the next', async t => {
  const random = createRandom(seedOf(t))
  const moments: Record<string, (data: string, started: StartedProcess) => Promise<unknown>> = {
    'when its folder is there': data => appears(join(data, 'postgres')),
    'when Postgres makes its data': data => appears(join(data, 'postgres'), /^cluster\.new-/),
    'when the data is in its place': data => appears(join(data, 'postgres'), /^cluster$/),
    'when Postgres runs': data => appears(join(data, 'postgres', 'cluster'), /^postmaster\.pid$/),
    'when Postgres is ready': (_, started) => says(started, 'embedded postgres ready'),
    'when the schema is there': (_, started) => says(started, 'database migrated'),
    'after 200 ms': () => sleep(200),
    'after 500 ms': () => sleep(500),
    'after 900 ms': () => sleep(900),
    'at a random moment': () => sleep(random.whole(50, 1500)),
  }
  let whole = false
  for (const [when, moment] of Object.entries(moments)) {
    whole = !whole
    await t.test(`${when}: ${whole ? 'all its processes' : 'itself'}`, async t => {
      const data = await makeDataFolder(t)
      const started = await launchProgram(t, { data })
      await moment(data, started)
      for (const pid of whole ? treeOf(started.pid) : [started.pid]) kill(pid)
      await started.exited
      const next = await startProgram(t, { data })
      await pushContent(next)
      await checkContent(t, next)
      t.ok(next.readyMs < firstStartMs, `ready after ${Math.round(next.readyMs)} ms`)
      const left = (await readdir(join(data, 'postgres'))).filter(name => name.startsWith('cluster.new-'))
      t.strictSame(left, [], 'and clears away what was left')
      t.match(await next.stop(), { code: 0 })
    })
  }
})

async function appears(folder: string, name = /./): Promise<void> {
  const until = performance.now() + 20_000
  for (;;) {
    const names = await readdir(folder).catch(() => [])
    if (names.some(one => name.test(one))) return
    if (performance.now() > until) throw new Error(`${folder} never had ${name.source}`)
    await sleep(1)
  }
}

async function says(started: StartedProcess, text: string): Promise<void> {
  const until = performance.now() + 20_000
  while (!started.stdout().includes(text)) {
    if (performance.now() > until) throw new Error(`it never said ${text}`)
    await sleep(1)
  }
}

t.test('an ordinary user runs it in a folder of its own', async t => {
  if (!needsRoot(t)) return
  const setpriv = needs(t, 'setpriv')
  if (setpriv === undefined) return
  const { uid, gid } = { uid: 65534, gid: 65534 }
  const prefix = [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--']
  const reads = await attempt(setpriv, [...prefix.slice(1), 'test', '-r', join(projectFolder, 'server/main.ts')])
  if (reads.code !== 0) {
    t.plan(0, 'needs a checkout that other users may read')
    return
  }
  const data = await makeDataFolder(t)
  await chown(data, uid, gid)
  const program = await startProgram(t, { data, prefix })
  await pushContent(program)
  const owners = await Promise.all(treeOf(program.pid).map(async pid => (await stat(`/proc/${pid}`)).uid))
  t.ok(owners.length > 3)
  t.strictSame(new Set(owners), new Set([uid]), 'all of it runs as that user')
  t.strictSame(new Set(await ownersBelow(data)), new Set([uid]), 'and all files are its own')
  t.match(await program.stop(), { code: 0 })
  const again = await startProgram(t, { data, prefix })
  await checkContent(t, again)
  t.match(await again.stop(), { code: 0 })
})

t.test('root runs it in a folder that is closed to everyone else', async t => {
  if (!needsRoot(t)) return
  const closed = await mkdtemp(join(tmpdir(), 'berth-closed-'))
  const data = join(closed, 'a', 'data')
  t.teardown(async () => {
    await endPostgres(data)
    await rm(closed, { recursive: true, force: true })
  })
  await mkdir(join(closed, 'a'), { mode: 0o700 })
  t.equal((await stat(closed)).mode & 0o777, 0o700)
  const program = await startProgram(t, { data })
  await pushContent(program)
  const postmaster = await findPostmaster(join(data, 'postgres', 'cluster'))
  t.not((await stat(`/proc/${postmaster}`)).uid, 0, 'Postgres does not run as root')
  t.match(await program.stop(), { code: 0 })
  const again = await startProgram(t, { data })
  await checkContent(t, again)
  t.match(await again.stop(), { code: 0 })
})

async function ownersBelow(folder: string): Promise<number[]> {
  const names = await readdir(folder, { recursive: true })
  return Promise.all(names.map(async name => (await stat(join(folder, name))).uid))
}
