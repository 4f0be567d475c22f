import { createHash } from 'node:crypto'
import { openSync } from 'node:fs'
import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { run } from '../../conformance/process.ts'
import { projectFolder } from '../../conformance/programs.ts'
import { createHashThreads, type HashThreads } from '../../server/bytes/hash-threads.ts'
import { createRandom } from '../faults/random.ts'

const random = createRandom(2)

/** Bytes as bodies bring them: in a shared buffer, some of it the coding's. */
function filled(bytes: Buffer, gaps = 0) {
  const size = gaps === 0 ? bytes.length : Math.ceil(bytes.length / gaps)
  const buffer = new Uint8Array(new SharedArrayBuffer(bytes.length + 3 * Math.ceil(bytes.length / Math.max(size, 1))))
  const pieces: number[] = []
  let at = 0
  for (let from = 0; from < bytes.length; from += size) {
    const part = bytes.subarray(from, from + size)
    at += gaps === 0 ? 0 : 3
    buffer.set(part, at)
    pieces.push(at, part.length)
    at += part.length
  }
  return { buffer, pieces }
}

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

async function openNew(t: Test, name = 'file'): Promise<FileHandle & { path: string }> {
  const path = join(t.testdir(), name)
  const handle = await open(path, 'w+')
  t.teardown(() => handle.close())
  return Object.assign(handle, { path })
}

/** That nothing is left behind on the threads. */
function isIdle({ load }: HashThreads): boolean {
  return load.jobs === 0 && load.hashes === 0
}

t.test('it hashes what it is given, in the order of the calls', async t => {
  const threads = createHashThreads()
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const bytes = random.bytes(1_000_000)
    const hash = await threads.begin(algorithm)
    const updates: Promise<void>[] = []
    for (let at = 0; at < bytes.length; at += 7_919)
      updates.push(hash.update(filled(bytes.subarray(at, at + 7_919), at % 5)))
    const digest = hash.digest()
    t.equal(await digest, `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`)
    await Promise.all(updates)
    hash.drop()
  }
  t.ok(isIdle(threads))
})

t.test('a hash of nothing is one too', async t => {
  const threads = createHashThreads()
  const hash = await threads.begin('sha256')
  t.equal(await hash.digest(), sha256(Buffer.alloc(0)))
  hash.drop()
})

t.test('a hash goes on after its digest was asked for', async t => {
  const hash = await createHashThreads().begin('sha256')
  await hash.update(filled(Buffer.from('a')))
  t.equal(await hash.digest(), sha256(Buffer.from('a')))
  await hash.update(filled(Buffer.from('b')))
  t.equal(await hash.digest(), sha256(Buffer.from('ab')))
  hash.drop()
})

t.test('a copy goes its own way, and stays when the other is dropped', async t => {
  const threads = createHashThreads()
  const hash = await threads.begin('sha256')
  await hash.update(filled(Buffer.from('common ')))
  const copy = hash.copy()
  await Promise.all([hash.update(filled(Buffer.from('one'))), copy.update(filled(Buffer.from('other')))])
  t.equal(await hash.digest(), sha256(Buffer.from('common one')))
  hash.drop()
  t.equal(await copy.digest(), sha256(Buffer.from('common other')))
  await t.rejects(hash.digest(), /not known/)
  copy.drop()
  t.ok(isIdle(threads))
})

t.test('many hashes at once do not disturb each other', async t => {
  const threads = createHashThreads()
  const all = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const bytes = random.bytes(10_000 + index)
      const hash = await threads.begin('sha256')
      await Promise.all([
        hash.update(filled(bytes.subarray(0, 5_000))),
        hash.update(filled(bytes.subarray(5_000), 1 + (index % 4))),
      ])
      const right = (await hash.digest()) === sha256(bytes)
      hash.drop()
      return right
    }),
  )
  t.ok(all.every(Boolean))
  t.ok(isIdle(threads))
})

t.test('it writes where it is told, each piece and none of what is between', async t => {
  const threads = createHashThreads()
  const handle = await openNew(t)
  const bytes = random.bytes(3_000_000)
  const hash = await threads.begin('sha256')
  const updates: Promise<void>[] = []
  for (let at = 0; at < bytes.length; at += 300_000) {
    // More pieces than one call of the system takes.
    const part = filled(bytes.subarray(at, at + 300_000), at === 0 ? 0 : 5_000)
    updates.push(hash.update(part, { fd: handle.fd, position: at }))
  }
  await Promise.all(updates)
  t.ok((await readFile(handle.path)).equals(bytes))
  t.equal(await hash.digest(), sha256(bytes))
  hash.drop()
})

t.test('it begins with what stands in a file', async t => {
  const threads = createHashThreads()
  const handle = await openNew(t)
  const bytes = random.bytes(700_001)
  await writeFile(handle.path, Buffer.concat([bytes, Buffer.from('and more')]))
  const hash = await threads.begin('sha256', { fd: handle.fd, length: bytes.length })
  t.equal(await hash.digest(), sha256(bytes))
  await hash.update(filled(Buffer.from('!')))
  t.equal(await hash.digest(), sha256(Buffer.concat([bytes, Buffer.from('!')])))
  hash.drop()
})

t.test('a file that is shorter than was said is an error, and nothing stays', async t => {
  const threads = createHashThreads()
  const handle = await openNew(t)
  await t.rejects(threads.begin('sha256', { fd: handle.fd, length: 10 }), /shorter than the upload/)
  t.ok(isIdle(threads))
})

t.test('what the file system says is told, with its code, and the thread goes on', async t => {
  const threads = createHashThreads()
  const hash = await threads.begin('sha256')
  const full = openSync('/dev/full', 'w')
  const bytes = filled(Buffer.from('hello'))
  await t.rejects(hash.update(bytes, { fd: full, position: 0 }), { code: 'ENOSPC' })
  await t.rejects(hash.update(bytes, { fd: 1_000_000, position: 0 }), { code: 'EBADF' })
  await t.rejects(threads.begin('sha256', { fd: 1_000_000, length: 5 }), { code: 'EBADF' })
  hash.drop()
  const other = await threads.begin('sha256')
  await other.update(bytes)
  t.equal(await other.digest(), sha256(Buffer.from('hello')))
  other.drop()
  t.ok(isIdle(threads))
})

t.test('a program ends though hashes are left on its threads, but not before its jobs', async t => {
  const program = `
    import { createHashThreads } from './server/bytes/hash-threads.ts'
    const hash = await createHashThreads().begin('sha256')
    const buffer = new Uint8Array(new SharedArrayBuffer(64 * 1024 * 1024))
    hash.update({ buffer, pieces: [0, buffer.length] }).then(() => console.log('done'))
  `
  const began = performance.now()
  const { stdout } = await run(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: projectFolder,
  })
  t.equal(stdout.trim(), 'done')
  t.ok(performance.now() - began < 20_000)
})

t.test('when a thread dies its jobs fail, and new ones take its place', async t => {
  const workers: Worker[] = []
  const note = (worker: Worker) => void workers.push(worker)
  process.on('worker', note)
  t.teardown(() => process.off('worker', note))
  const threads = createHashThreads()
  const hash = await threads.begin('sha256')
  const other = await threads.begin('sha256')
  t.equal(workers.length, 2)
  const jobs = [hash.update(filled(Buffer.alloc(64 * 1024 * 1024))), hash.digest()]
  const failures = Promise.allSettled(jobs)
  await workers[0]?.terminate()
  for (const outcome of await failures)
    t.match(outcome, { status: 'rejected', reason: /a thread that hashes has ended/ })
  await t.rejects(hash.digest(), /the thread of this hash has ended/)
  hash.copy().drop()
  hash.drop()
  t.equal(await other.digest(), sha256(Buffer.alloc(0)), 'the others live')
  const next = await threads.begin('sha256')
  t.equal(workers.length, 3)
  t.equal(await next.digest(), sha256(Buffer.alloc(0)))
  next.drop()
  other.drop()
  t.ok(isIdle(threads))
})
