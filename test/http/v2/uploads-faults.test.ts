import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask } from '../../../conformance/http.ts'
import { OutOfSpace, type StorageDriver, type WriteSession } from '../../../storage-drivers/driver.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { openBelow, until } from '../../storage-drivers/open-files.ts'
import { mountTmpfs } from '../../storage-drivers/tmpfs.ts'
import {
  append,
  begin,
  finish,
  has,
  offsetOf,
  post,
  pull,
  push,
  refusal,
  startSending,
  status,
} from './uploads-client.ts'

/** A step of a driver that can be made to fail. */
type Step = 'createUpload' | 'resumeUpload' | 'readUpload' | 'write' | 'save' | 'commit' | 'size'

/** A registry whose driver fails at a step when it is told to, each time with an error of the test's choice. */
async function startFailing(t: Test) {
  const faults = new Map<Step, { error: Error; after: number }>()
  const pass = (step: Step) => {
    const fault = faults.get(step)
    if (fault !== undefined && fault.after-- <= 0) throw fault.error
  }
  const failingSession = (session: WriteSession): WriteSession => ({
    async write(chunks) {
      pass('write')
      await session.write(chunks)
    },
    get length() {
      return session.length
    },
    async save() {
      pass('save')
      return session.save()
    },
    stored: () => session.stored(),
    async commit(key) {
      pass('commit')
      return session.commit(key)
    },
    close: () => session.close(),
  })
  const wrapDriver = (driver: StorageDriver): StorageDriver => ({
    ...driver,
    async createUpload() {
      pass('createUpload')
      return failingSession(await driver.createUpload())
    },
    async resumeUpload(state) {
      pass('resumeUpload')
      return failingSession(await driver.resumeUpload(state))
    },
    async readUpload(state) {
      pass('readUpload')
      return driver.readUpload(state)
    },
  })
  const registry = await startRegistry(t, { wrapDriver })
  return {
    ...registry,
    /** Lets a step fail from now on, after it went well so many times. */
    fail: (step: Step, error: Error, { after = 0 } = {}) => void faults.set(step, { error, after }),
    mend: () => faults.clear(),
  }
}

const registry = await startFailing(t)
t.afterEach(() => registry.mend())

t.test('a disk that is full in a PATCH is answered with 507, and the upload goes on when there is room', async t => {
  const { bytes, digest } = randomBlob(4_000_000)
  const upload = await begin(registry, 'full/a')
  await append(upload, bytes.subarray(0, 1000))
  registry.fail('write', new OutOfSpace(), { after: 1 })
  t.equal(refusal(await append(upload, bytes.subarray(1000))), '507 INSUFFICIENT_STORAGE')
  t.equal(await offsetOf(upload), 1000, 'none of it counts')
  registry.mend()
  t.equal((await append(upload, bytes.subarray(1000))).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
  t.ok(await has(registry, 'full/a', { bytes, digest }))
})

t.test('a disk that is full in the closing PUT is answered with 507, and the same PUT closes it later', async t => {
  const { bytes, digest } = randomBlob(4_000_000)
  for (const step of ['write', 'commit'] as const) {
    const upload = await begin(registry, 'full/b')
    await append(upload, bytes.subarray(0, 1000))
    registry.fail(step, new OutOfSpace())
    t.equal(refusal(await finish(upload, digest, bytes.subarray(1000))), '507 INSUFFICIENT_STORAGE', step)
    t.equal(await offsetOf(upload), 1000)
    t.equal((await pull(registry, `full/b-${step}`, digest)).status, 404)
    registry.mend()
    t.equal((await finish(upload, digest, bytes.subarray(1000))).status, 201)
    t.ok(await has(registry, 'full/b', { bytes, digest }))
  }
})

t.test('a disk that is full before the first byte is answered with 507, and nothing is left behind', async t => {
  const { bytes, digest } = randomBlob(3_000_000)
  const before = await readdir(join(registry.root, 'uploads'))
  for (const step of ['createUpload', 'write', 'commit'] as const) {
    registry.fail(step, new OutOfSpace())
    t.equal(refusal(await post(registry, 'full/c', `?digest=${digest}`, bytes)), '507 INSUFFICIENT_STORAGE', step)
    registry.mend()
    t.same(await readdir(join(registry.root, 'uploads')), before)
  }
  const upload = await begin(registry, 'full/c')
  registry.fail('createUpload', new OutOfSpace())
  t.equal(refusal(await append(upload, bytes)), '507 INSUFFICIENT_STORAGE', 'PATCH')
  t.equal(refusal(await finish(upload, digest, bytes)), '507 INSUFFICIENT_STORAGE', 'PUT')
  registry.mend()
  t.equal((await append(upload, bytes)).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('what the first request to an upload left when it failed goes with the upload', async t => {
  const { bytes, digest } = randomBlob(3_000_000)
  const before = await readdir(join(registry.root, 'uploads'))
  const requests = [
    (upload: string) => append(upload, bytes),
    (upload: string) => finish(upload, digest, bytes),
    (upload: string) => finish(upload, randomBlob().digest, bytes),
  ]
  for (const request of requests) {
    const upload = await begin(registry, 'full/d')
    registry.fail('write', new OutOfSpace(), { after: 1 })
    t.equal(refusal(await request(upload)), '507 INSUFFICIENT_STORAGE')
    t.equal((await ask(upload, { method: 'DELETE' })).status, 204)
    t.same(await readdir(join(registry.root, 'uploads')), before, 'no file without a row')
  }
})

t.test('a real disk that is full takes no more, goes on giving, and takes again when there is room', async t => {
  const root = await mountTmpfs(t, 'size=12m')
  if (root === undefined) return
  const small = await startRegistry(t, { root })
  const stored = randomBlob(2_000_000)
  await push(small, 'small/a', stored)
  const { bytes, digest } = randomBlob(6_000_000)
  const upload = await begin(small, 'small/a')
  await append(upload, bytes.subarray(0, 2_000_000))
  await writeFile(join(root, 'others'), Buffer.alloc(5_000_000))
  t.equal(refusal(await append(upload, bytes.subarray(2_000_000))), '507 INSUFFICIENT_STORAGE')
  t.equal(refusal(await finish(upload, digest, bytes.subarray(2_000_000))), '507 INSUFFICIENT_STORAGE')
  t.equal(refusal(await post(small, 'small/a', `?digest=${digest}`, bytes)), '507 INSUFFICIENT_STORAGE')
  t.equal(await offsetOf(upload), 2_000_000)
  t.ok(await has(small, 'small/a', stored), 'blobs can still be pulled')
  await rm(join(root, 'others'))
  t.equal((await append(upload, bytes.subarray(2_000_000))).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
  t.ok(await has(small, 'small/a', { bytes, digest }))
  t.same(await readdir(join(root, 'uploads')), [])
})

/** An upload stays open for a moment behind a request; then it is opened anew. */
async function untilClosed(): Promise<void> {
  const open = await until(
    () => openBelow(registry.root),
    files => files.length === 0,
  )
  if (open.length > 0) throw new Error(`still open: ${open.join(', ')}`)
}

t.test('a store that fails in the middle is answered with 500, and the upload is as it was before', async t => {
  const { bytes, digest } = randomBlob(4_000_000)
  const cases = [
    ['PATCH', 'write', 0],
    ['PATCH', 'write', 2],
    ['PATCH', 'resumeUpload', 0],
    ['PUT', 'write', 0],
    ['PUT', 'write', 2],
    ['PATCH', 'save', 0],
    ['PUT', 'commit', 0],
    ['PUT', 'resumeUpload', 0],
  ] as const
  for (const [method, step, after] of cases) {
    const upload = await begin(registry, 'failing/a')
    await append(upload, bytes.subarray(0, 1000))
    await untilClosed()
    registry.fail(step, new Error('EIO: the disk says no'), { after })
    const rest = bytes.subarray(1000)
    const answer = method === 'PATCH' ? await append(upload, rest) : await finish(upload, digest, rest)
    t.equal(refusal(answer), '500 UNKNOWN', `${method}, ${step} fails after ${after}`)
    t.notMatch(answer.body.toString(), /EIO/, 'what went wrong is not for the client')
    registry.mend()
    t.equal(await offsetOf(upload), 1000)
    t.equal((await finish(upload, digest, rest)).status, 201)
    t.ok(await has(registry, 'failing/a', { bytes, digest }))
  }
})

t.test(
  'a store that can not be read for the hash is answered with 500, and the same PUT closes the upload later',
  async t => {
    const { bytes, digest } = randomBlob(100_000, 'sha512')
    const upload = await begin(registry, 'failing/b')
    await append(upload, bytes)
    registry.fail('readUpload', new Error('EIO: the disk says no'))
    t.equal(refusal(await finish(upload, digest)), '500 UNKNOWN')
    registry.mend()
    t.equal((await finish(upload, digest)).status, 201)
  },
)

t.test('an upload whose bytes the store has lost is unknown, so that the client begins again', async t => {
  const { bytes, digest } = randomBlob(100_000)
  const upload = await begin(registry, 'lost/a')
  const before = await readdir(join(registry.root, 'uploads'))
  await append(upload, bytes)
  const [file = ''] = (await readdir(join(registry.root, 'uploads'))).filter(name => !before.includes(name))
  await rm(join(registry.root, 'uploads', file))
  await untilClosed()
  t.equal(refusal(await append(upload, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await finish(upload, digest)), '404 BLOB_UPLOAD_UNKNOWN')
  await push(registry, 'lost/a', { bytes, digest })
  t.ok(await has(registry, 'lost/a', { bytes, digest }))
})

t.test('a file that disappears in the middle of the closing PUT makes no blob', async t => {
  const { bytes, digest } = randomBlob(3_000_000)
  const upload = await begin(registry, 'lost/b')
  await append(upload, bytes.subarray(0, 1000))
  const sending = startSending(registry, `${upload}?digest=${digest}`, { method: 'PUT' })
  await sending.send(bytes.subarray(1000))
  for (const file of await readdir(join(registry.root, 'uploads'))) await rm(join(registry.root, 'uploads', file))
  sending.end()
  t.equal(refusal(await sending.answer), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal((await pull(registry, 'lost/b', digest)).status, 404)
})

t.test('a client that is refused in the middle of a large body gets to see why', async t => {
  const upload = await begin(registry, 'early/a')
  registry.fail('write', new OutOfSpace())
  const answer = await append(upload, randomBlob(20_000_000).bytes)
  t.equal(refusal(answer), '507 INSUFFICIENT_STORAGE')
  t.equal((await status(upload)).status, 204)
})

t.test('all these faults have left nothing open', async t => {
  const open = await until(
    () => openBelow(registry.root),
    files => files.length === 0,
  )
  t.same(open, [])
})
