import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import { holdSeconds } from '../../../server/metadata/uploads.ts'
import { blobKey } from '../../../server/registry/blob-keys.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { openBelow, until } from '../../storage-drivers/open-files.ts'
import {
  append,
  appendAt,
  begin,
  finish,
  has,
  offsetOf,
  openAdmin,
  post,
  push,
  refusal,
  startLink,
  startSending,
  status,
} from './uploads-client.ts'

const registry = await startRegistry(t)
/** Another process, as far as anything in it can tell: it shares the database and the folder, and no memory. */
const other = await startRegistry(t, { databaseUrl: registry.databaseUrl, root: registry.root })
const admin = await openAdmin(t, registry)

/** Whether an upload that begins with these bytes has its file. */
async function isKept(bytes: Buffer): Promise<boolean> {
  const folder = join(registry.root, 'uploads')
  const files = (await readdir(folder)).map(name => readFile(join(folder, name)).catch(() => Buffer.alloc(0)))
  return (await Promise.all(files)).some(file => file.subarray(0, 100).equals(bytes.subarray(0, 100)))
}

t.test(
  'of two PATCHes at once to one upload one writes, the other is refused with 409, here and elsewhere',
  async t => {
    const { bytes, digest } = randomBlob(3_000_000)
    const upload = await begin(registry, 'two/a')
    const sending = startSending(registry, upload, { method: 'PATCH' })
    await sending.send(bytes.subarray(0, 1_500_000))
    for (const place of [upload, upload.replace(registry.url, other.url)]) {
      t.equal(refusal(await append(place, bytes)), '409 BLOB_UPLOAD_INVALID', 'PATCH')
      t.equal(refusal(await finish(place, digest, bytes)), '409 BLOB_UPLOAD_INVALID', 'PUT')
      t.equal((await status(place)).status, 204, 'but its status can be asked')
    }
    await sending.send(bytes.subarray(1_500_000))
    sending.end()
    const { status: code, headers } = await sending.answer
    t.equal(code, 202)
    t.equal(headers['range'], '0-2999999')
    t.equal((await finish(upload, digest)).status, 201)
    t.ok(await has(registry, 'two/a', { bytes, digest }))
  },
)

t.test('of many PATCHes at once to one upload as many count as were answered with 202', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const upload = await begin(registry, 'two/b')
  const places = Array.from({ length: 16 }, (_, index) =>
    index % 2 === 0 ? upload : upload.replace(registry.url, other.url),
  )
  const answers = await Promise.all(places.map(place => appendAt(place, bytes, [0, 200_000])))
  const codes = answers.map(answer => answer.status).toSorted((one, another) => one - another)
  t.equal(codes[0], 202)
  t.ok(
    codes.slice(1).every(code => code === 409 || code === 416),
    codes.join(' '),
  )
  t.equal(await offsetOf(upload), 200_000)
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('of two PUTs at once to one upload one makes the blob', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const upload = await begin(registry, 'two/c')
  const answers = await Promise.all([upload, upload, upload].map(place => finish(place, digest, bytes)))
  const codes = answers.map(answer => answer.status).toSorted((one, another) => one - another)
  t.equal(codes[0], 201)
  t.ok(
    codes.slice(1).every(code => [201, 404, 409].includes(code)),
    codes.join(' '),
  )
  t.ok(await has(registry, 'two/c', { bytes, digest }))
})

t.test('[57] twenty clients that push one blob at once all succeed, and it is stored once', async t => {
  const content = randomBlob(1_500_000)
  const { bytes, digest } = content
  const pushIn = async (way: number, place: typeof registry, name: string): Promise<number> => {
    if (way === 0) return (await post(place, name, `?digest=${digest}`, bytes)).status
    const upload = await begin(place, name)
    if (way === 1) return (await finish(upload, digest, bytes)).status
    await append(upload, bytes.subarray(0, 700_000))
    return (await finish(upload, digest, bytes.subarray(700_000))).status
  }
  const clients = Array.from({ length: 20 }, (_, index) => ({
    way: index % 3,
    place: index % 2 === 0 ? registry : other,
    name: `crowd/${index % 4}`,
  }))
  const codes = await Promise.all(clients.map(({ way, place, name }) => pushIn(way, place, name)))
  t.same(
    codes,
    clients.map(() => 201),
  )
  for (const { name } of clients.slice(0, 4)) t.ok(await has(registry, name, content), name)
  const { rows } = await admin.query('select count(*)::int as count from blobs where digest = $1', [digest])
  t.same(rows, [{ count: 1 }])
  // A blob of another test may have come to stand in the same folder.
  const beside = await readdir(dirname(join(registry.root, blobKey(digest))))
  t.same(
    beside.filter(name => name.includes(digest.slice('sha256:'.length)) || !/^[0-9a-f]{64}$/.test(name)),
    [digest.slice('sha256:'.length)],
  )
  t.same(await readdir(join(registry.root, 'uploads')), [], 'nothing else is left')
})

t.test('an upload goes on in another process, part by part, and has the right digest', async t => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const { bytes, digest } = randomBlob(600_000, algorithm)
    const upload = await begin(registry, 'replicas/a', `?digest-algorithm=${algorithm}`)
    const there = upload.replace(registry.url, other.url)
    // The first process comes back to an upload that is longer than the one that it remembers.
    const places = [upload, there, upload, upload, there, there]
    for (const [index, place] of places.entries()) {
      const answer = await appendAt(place, bytes, [index * 100_000, (index + 1) * 100_000])
      t.equal(answer.status, 202)
      t.equal((await status(index % 2 === 0 ? there : upload)).headers['range'], answer.headers['range'])
    }
    t.equal((await finish(upload, digest)).status, 201)
    t.ok(await has(other, 'replicas/a', { bytes, digest }))
    t.equal((await status(there)).status, 404)
  }
})

t.test('an upload that another process received is closed here with its last bytes', async t => {
  const { bytes, digest } = randomBlob(600_000)
  const upload = await begin(registry, 'replicas/b')
  await append(upload, bytes.subarray(0, 500_000))
  const there = upload.replace(registry.url, other.url)
  t.equal(refusal(await finish(there, randomBlob().digest, bytes.subarray(500_000))), '400 DIGEST_INVALID')
  t.equal((await finish(there, digest, bytes.subarray(500_000))).status, 201)
  t.ok(await has(registry, 'replicas/b', { bytes, digest }))
})

t.test('an upload that a dead process held is free again when the time of the hold is over', async t => {
  const { bytes, digest } = randomBlob()
  const upload = await begin(registry, 'dead/a')
  const id = upload.split('/').at(-1)
  const hold = (until: string) =>
    admin.query(`update uploads set holder = $1, held_until = now() + $2::interval where id = $3`, [
      randomUUID(),
      until,
      id,
    ])
  await hold('10 seconds')
  t.equal(refusal(await append(upload, bytes)), '409 BLOB_UPLOAD_INVALID')
  t.equal((await status(upload)).status, 204)
  await hold('-1 millisecond')
  t.equal((await append(upload, bytes)).status, 202)
  await hold('-1 millisecond')
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('uploads that take their time', async t => {
  t.jobs = 4

  t.test('a client that sends a byte a second keeps its upload and nobody else waits', { buffered: true }, async t => {
    const { bytes, digest } = randomBlob(6)
    const upload = await begin(registry, 'slow/a')
    const sending = startSending(registry, upload, { method: 'PATCH', headers: { 'content-length': '6' } })
    let slowest = 0
    for (let index = 0; index < bytes.length; index++) {
      const started = performance.now()
      await sending.send(bytes.subarray(index, index + 1))
      const content = randomBlob(100_000)
      await push(registry, 'slow/others', content)
      t.ok(await has(registry, 'slow/others', content))
      const took = performance.now() - started
      slowest = Math.max(slowest, took)
      await new Promise(resolve => setTimeout(resolve, Math.max(1000 - took, 0)))
    }
    t.ok(slowest < 5000, `the others took ${Math.round(slowest)} ms at most`)
    t.equal((await sending.answer).status, 202)
    t.equal((await finish(upload, digest)).status, 201)
    t.ok(await has(registry, 'slow/a', { bytes, digest }))
  })

  t.test(
    'a request tells how far it has come while it goes on, so that not all is lost with its process',
    { buffered: true },
    async t => {
      const { bytes, digest } = randomBlob(3_000_000)
      const upload = await begin(registry, 'slow/b')
      const sending = startSending(registry, upload, { method: 'PATCH' })
      await sending.send(bytes.subarray(0, 2_500_000))
      const there = upload.replace(registry.url, other.url)
      const offset = await until(
        () => offsetOf(there),
        offset => offset > 0,
        10_000,
      )
      t.ok(offset >= 1_000_000 && offset <= 2_500_000, `${offset} of 2500000 bytes are known elsewhere`)
      await sending.send(bytes.subarray(2_500_000))
      sending.end()
      t.equal((await sending.answer).status, 202)
      t.equal((await finish(there, digest)).status, 201)
    },
  )

  t.test('a request that has lost its upload to another one writes no more', { buffered: true }, async t => {
    const { bytes, digest } = randomBlob(3_000_000)
    const upload = await begin(registry, 'slow/c')
    await append(upload, bytes.subarray(0, 1000))
    const sending = startSending(registry, upload, { method: 'PATCH' })
    await sending.send(bytes.subarray(1000, 2_000_000))
    await admin.query(`update uploads set holder = $1, held_until = now() - interval '1 hour' where id = $2`, [
      randomUUID(),
      upload.split('/').at(-1),
    ])
    t.equal(refusal(await sending.answer), '503 UNAVAILABLE')
    t.equal(await offsetOf(upload), 1000, 'what it had written does not count')
    const there = upload.replace(registry.url, other.url)
    t.equal((await appendAt(there, bytes, [1000, 3_000_000])).status, 202)
    t.equal((await finish(there, digest)).status, 201)
    t.ok(await has(registry, 'slow/c', { bytes, digest }))
  })

  for (const before of [0, 1000]) {
    t.test(`[53] DELETE ends an upload of ${before} bytes that is being written to`, { buffered: true }, async t => {
      const { bytes, digest } = randomBlob(3_000_000)
      const upload = await begin(registry, 'slow/e')
      if (before > 0) await append(upload, bytes.subarray(0, before))
      const sending = startSending(registry, upload, { method: 'PATCH' })
      await sending.send(bytes.subarray(before, 2_000_000))
      t.ok(await isKept(bytes))
      const there = upload.replace(registry.url, other.url)
      t.equal((await ask(there, { method: 'DELETE' })).status, 204)
      t.equal(refusal(await status(upload)), '404 BLOB_UPLOAD_UNKNOWN')
      t.equal(refusal(await sending.answer), '503 UNAVAILABLE', 'the writer is told')
      t.equal(refusal(await finish(upload, digest, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
      const kept = await until(
        () => isKept(bytes),
        found => !found,
      )
      t.notOk(kept, 'and its bytes are gone')
    })
  }

  t.test(
    'a request that hears nothing of the database lets go before its time is over',
    { buffered: true },
    async t => {
      const { bytes, digest } = randomBlob(3_000_000)
      const link = await startLink(t, registry.databaseUrl)
      const linked = await startRegistry(t, { databaseUrl: link.url, root: registry.root })
      const upload = await begin(linked, 'slow/d')
      await append(upload, bytes.subarray(0, 1000))
      const started = performance.now()
      const sending = startSending(linked, upload, { method: 'PATCH', headers: { connection: 'keep-alive' } })
      await sending.send(bytes.subarray(1000, 2_000_000))
      link.stall()
      t.equal(refusal(await sending.answer), '503 UNAVAILABLE')
      const took = (performance.now() - started) / 1000
      t.ok(took < holdSeconds, `after ${took.toFixed(1)} s, before another one may write`)
      link.resume()
      const offset = await offsetOf(upload)
      t.ok(offset >= 1000 && offset <= 2_000_000)
      const answer = await until(
        async () => appendAt(upload, bytes, [await offsetOf(upload), 3_000_000]),
        ({ status }) => status === 202,
      )
      t.equal(answer.status, 202)
      t.equal((await finish(upload, digest)).status, 201)
      t.ok(await has(registry, 'slow/d', { bytes, digest }))
    },
  )
})

t.test('all these uploads have left nothing open', async t => {
  const open = await until(
    () => openBelow(registry.root),
    files => files.length === 0,
  )
  t.same(open, [])
})
