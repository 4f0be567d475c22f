import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { until } from '../../storage-drivers/open-files.ts'
import { append, begin, finish, has, offsetOf, openAdmin } from './uploads-client.ts'

/** When a process that is alone on its database writes uploads down (docs/decisions/0012). */

const registry = await startRegistry(t, { sole: true })
const admin = await openAdmin(t, registry)

/** The offsets that the database has of the uploads of a repository. */
async function written(repository: string): Promise<number[]> {
  const { rows } = await admin.query<{ byte_offset: string }>('select byte_offset from uploads where repository = $1', [
    repository,
  ])
  return rows.map(row => Number(row.byte_offset))
}

t.test('a large upload is written down before its answer, a small one a moment later', async t => {
  const large = await begin(registry, 'later/large')
  await append(large, Buffer.alloc(300_000))
  t.same(await written('later/large'), [300_000])
  const small = await begin(registry, 'later/small')
  await append(small, Buffer.alloc(1000))
  t.equal(await offsetOf(small), 1000)
  t.same(
    await until(
      () => written('later/small'),
      offsets => offsets[0] === 1000,
    ),
    [1000],
  )
})

t.test('a small blob is never written down as an upload', async t => {
  const blob = randomBlob(1000)
  const upload = await begin(registry, 'later/blob')
  await append(upload, blob.bytes)
  t.equal((await finish(upload, blob.digest)).status, 201)
  await sleep(200)
  t.same(await written('later/blob'), [])
  t.ok(await has(registry, 'later/blob', blob))
})

t.test('an orderly stop writes down what is not, and another process goes on with it', async t => {
  const first = await startRegistry(t, { sole: true, databaseUrl: registry.databaseUrl, root: registry.root })
  const blob = randomBlob(2000)
  const upload = await begin(first, 'later/stopped')
  await append(upload, blob.bytes.subarray(0, 1500))
  await first.services[Symbol.asyncDispose]()
  t.same(await written('later/stopped'), [1500])
  const second = await startRegistry(t, { sole: true, databaseUrl: registry.databaseUrl, root: registry.root })
  const there = upload.replace(first.url, second.url)
  t.equal(await offsetOf(there), 1500)
  t.equal((await finish(there, blob.digest, blob.bytes.subarray(1500))).status, 201)
  t.ok(await has(second, 'later/stopped', blob))
})
