import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Answer, ask } from '../../../conformance/http.ts'
import { silentLog } from '../../../server/lib/log.ts'
import { blobKey } from '../../../server/registry/blob-keys.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { until } from '../../storage-drivers/open-files.ts'
import {
  append,
  appendAt,
  begin,
  block,
  finish,
  has,
  offsetOf,
  openAdmin,
  post,
  pull,
  push,
  refusal,
  startLink,
  startSending,
  status,
} from './uploads-client.ts'

let lost = 0
const log = {
  ...silentLog,
  warn: (_fields: unknown, message?: string) => void (lost += message === 'idle database connection lost' ? 1 : 0),
}
const registry = await startRegistry(t, { log })
const other = await startRegistry(t, { log, databaseUrl: registry.databaseUrl, root: registry.root })

/** Sends a request whose first statement that needs the table has its connection ended by the administrator. */
async function cutAt(t: Test, table: string, send: () => Promise<Answer>): Promise<Answer> {
  const blockade = await block(t, registry, table)
  const answer = send()
  await blockade.reached()
  await blockade.cut()
  await blockade.lift()
  return answer
}

function isUnavailable(t: Test, answer: Answer, title = 'unavailable'): void {
  t.equal(refusal(answer), '503 UNAVAILABLE', title)
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/, 'it says when to come back')
}

t.test('a connection to the database that ends in the middle of a PATCH costs nothing but the PATCH', async t => {
  const { bytes, digest } = randomBlob(3_000_000)
  const upload = await begin(registry, 'cut/a')
  await append(upload, bytes.subarray(0, 1_000_000))
  const sending = startSending(registry, upload, { method: 'PATCH' })
  await sending.send(bytes.subarray(1_000_000, 2_000_000))
  const answer = await cutAt(t, 'uploads', async () => {
    sending.end()
    return sending.answer
  })
  isUnavailable(t, answer)
  const offset = await offsetOf(upload)
  t.ok(offset >= 1_000_000 && offset <= 2_000_000)
  t.equal((await appendAt(upload, bytes, [offset, 3_000_000])).status, 202)
  t.equal((await finish(upload, digest)).status, 201, 'and the digest is right')
  t.ok(await has(registry, 'cut/a', { bytes, digest }))
})

t.test('a connection that ends before a PATCH begins is answered with 503, and the upload goes on', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const upload = await begin(registry, 'cut/b')
  isUnavailable(t, await cutAt(t, 'uploads', () => append(upload, bytes)))
  t.equal(await offsetOf(upload), 0)
  t.equal((await append(upload, bytes)).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('a connection that ends in a POST is answered with 503', async t => {
  isUnavailable(t, await cutAt(t, 'uploads', () => post(registry, 'cut/c')))
  t.equal((await post(registry, 'cut/c')).status, 202)
})

t.test('idle connections that end are replaced, and no client hears of it', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const admin = await openAdmin(t, registry)
  const end = async () => {
    const before = lost
    const { rowCount } = await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'berth'`)
    await until(
      () => lost - before,
      count => count === rowCount,
    )
    t.equal(lost - before, rowCount)
  }
  const upload = await begin(registry, 'cut/d')
  await end()
  const sending = startSending(registry, upload, { method: 'PATCH' })
  await sending.send(bytes.subarray(0, 100_000))
  const held = await until(
    async () => (await admin.query('select from uploads where holder is not null')).rowCount,
    count => count === 1,
  )
  t.equal(held, 1, 'the request has begun')
  await end()
  await sending.send(bytes.subarray(100_000))
  sending.end()
  t.equal((await sending.answer).status, 202)
  await end()
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('a PUT whose bytes are stored but whose rows were not written succeeds when it is sent again', async t => {
  const ways = {
    'with the whole body': async (upload: string, bytes: Buffer) => {
      await offsetOf(upload)
      return bytes
    },
    'with the last bytes': async (upload: string, bytes: Buffer) => {
      await append(upload, bytes.subarray(0, 1000))
      return bytes.subarray(1000)
    },
    'without a body': async (upload: string, bytes: Buffer) => {
      await append(upload, bytes)
      return undefined
    },
  }
  for (const [title, prepare] of Object.entries(ways)) {
    const { bytes, digest } = randomBlob(200_000)
    const upload = await begin(registry, 'commit/a')
    const rest = await prepare(upload, bytes)
    const send = () => finish(upload, digest, rest)
    isUnavailable(t, await cutAt(t, 'blobs', send), title)
    t.ok(existsSync(join(registry.root, blobKey(digest))), 'the bytes were committed')
    t.equal((await pull(registry, 'commit/a', digest)).status, 404, 'but that does not make a blob')
    const again = await send()
    t.equal(again.status, 201)
    t.equal(again.headers['docker-content-digest'], digest)
    t.ok(await has(registry, 'commit/a', { bytes, digest }))
    t.equal(refusal(await status(upload)), '404 BLOB_UPLOAD_UNKNOWN', 'the upload has ended')
    t.equal(refusal(await send()), '404 BLOB_UPLOAD_UNKNOWN', 'for good')
  }
})

t.test('a PUT succeeds again, too, when only the answer of the database was lost', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const upload = await begin(registry, 'commit/b')
  await append(upload, bytes)
  isUnavailable(t, await cutAt(t, 'blobs', () => finish(upload, digest)))
  // What the statement that was cut off would have left, had it come one step further.
  await push(other, 'commit/b', { bytes, digest })
  const admin = await openAdmin(t, registry)
  await admin.query('delete from uploads where id = $1', [upload.split('/').at(-1)])
  t.equal((await finish(upload, digest)).status, 201)
  t.ok(await has(registry, 'commit/b', { bytes, digest }))
})

t.test('what a PUT left to be written down is nothing for another digest, repository or client', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const upload = await begin(registry, 'commit/c')
  await append(upload, bytes)
  isUnavailable(t, await cutAt(t, 'blobs', () => finish(upload, digest)))
  t.equal(refusal(await finish(upload, randomBlob().digest)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal(refusal(await finish(upload.replace('/commit/c/', '/commit/d/'), digest)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal((await pull(registry, 'commit/d', digest)).status, 404)
  t.equal((await ask(upload, { method: 'DELETE' })).status, 204)
  t.equal(refusal(await finish(upload, digest)), '404 BLOB_UPLOAD_UNKNOWN', 'or after the upload was cancelled')
})

t.test('a PUT that is sent again makes no blob of bytes that were taken away in the meantime', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const upload = await begin(registry, 'commit/g')
  await append(upload, bytes)
  isUnavailable(t, await cutAt(t, 'blobs', () => finish(upload, digest)))
  await registry.driver.delete([blobKey(digest)])
  t.equal(refusal(await finish(upload, digest)), '404 BLOB_UPLOAD_UNKNOWN')
  t.equal((await pull(registry, 'commit/g', digest)).status, 404)
})

t.test('a PUT that is sent again to another process has to begin anew there, and then succeeds', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const upload = await begin(registry, 'commit/e')
  await append(upload, bytes)
  isUnavailable(t, await cutAt(t, 'blobs', () => finish(upload, digest)))
  t.equal(refusal(await finish(upload.replace(registry.url, other.url), digest)), '404 BLOB_UPLOAD_UNKNOWN')
  await push(other, 'commit/e', { bytes, digest })
  t.ok(await has(registry, 'commit/e', { bytes, digest }))
})

t.test('a POST of a whole blob whose rows were not written succeeds when it is sent again', async t => {
  const { bytes, digest } = randomBlob(200_000)
  const send = () => post(registry, 'commit/f', `?digest=${digest}`, bytes)
  isUnavailable(t, await cutAt(t, 'blobs', send))
  t.equal((await send()).status, 201)
  t.ok(await has(registry, 'commit/f', { bytes, digest }))
})

t.test('a database that is away for a while', async t => {
  const link = await startLink(t, registry.databaseUrl)
  const linked = await startRegistry(t, { databaseUrl: link.url, root: registry.root })

  t.test('is answered with 503 by every method, and all goes on when it is back', async t => {
    const { bytes, digest } = randomBlob(200_000)
    const upload = await begin(linked, 'away/a')
    await append(upload, bytes.subarray(0, 1000))
    await link.cut()
    isUnavailable(t, await post(linked, 'away/a'), 'POST')
    isUnavailable(t, await post(linked, 'away/a', `?digest=${digest}`, bytes), 'POST with the blob')
    isUnavailable(t, await post(linked, 'away/a', `?mount=${digest}&from=a`), 'POST with a mount')
    isUnavailable(t, await status(upload), 'GET')
    isUnavailable(t, await append(upload, bytes.subarray(1000)), 'PATCH')
    isUnavailable(t, await finish(upload, digest, bytes.subarray(1000)), 'PUT')
    isUnavailable(t, await ask(upload, { method: 'DELETE' }), 'DELETE')
    await link.restore()
    t.equal((await finish(upload, digest, bytes.subarray(1000))).status, 201)
    t.ok(await has(linked, 'away/a', { bytes, digest }))
  })

  t.test('goes unnoticed by a PATCH that takes longer', async t => {
    const { bytes, digest } = randomBlob(2_000_000)
    const upload = await begin(linked, 'away/b')
    const sending = startSending(linked, upload, { method: 'PATCH' })
    await sending.send(bytes.subarray(0, 1_500_000))
    await link.cut()
    await sending.send(bytes.subarray(1_500_000))
    await link.restore()
    sending.end()
    t.equal((await sending.answer).status, 202)
    t.equal((await finish(upload, digest)).status, 201)
  })

  t.test('when it is away at the end of a PATCH, the upload is free again soon after it is back', async t => {
    const { bytes, digest } = randomBlob(2_000_000)
    const upload = await begin(linked, 'away/c')
    await append(upload, bytes.subarray(0, 1000))
    const sending = startSending(linked, upload, { method: 'PATCH' })
    await sending.send(bytes.subarray(1000, 1_500_000))
    await link.cut()
    sending.end()
    isUnavailable(t, await sending.answer)
    await link.restore()
    t.equal(await offsetOf(upload), 1000)
    const started = performance.now()
    const answer = await until(
      () => appendAt(upload, bytes, [1000, 2_000_000]),
      ({ status }) => status !== 409,
    )
    t.equal(answer.status, 202)
    t.ok(performance.now() - started < 5000, 'long before the hold would be over')
    t.equal((await finish(upload, digest)).status, 201)
  })
})
