import { readdir, utimes } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { StorageDriver } from '../../../storage-drivers/driver.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry, type TestRegistry } from '../../helpers/registry.ts'
import { append, begin, finish, has, openAdmin, refusal, startSending, status } from './uploads-client.ts'

const { signal } = new AbortController()
const everything = { ageMs: 0, dryRun: false, signal }

function files({ root }: TestRegistry): Promise<string[]> {
  return readdir(join(root, 'uploads'))
}

t.test('[54] an upload that no one came back to is dropped with its bytes, and is unknown from then on', async t => {
  const registry = await startRegistry(t)
  const { bytes, digest } = randomBlob(1000)
  const [withBytes, empty] = [await begin(registry, 'old/a'), await begin(registry, 'old/a')]
  await append(withBytes, bytes)
  t.equal((await files(registry)).length, 1)
  t.same(await registry.services.uploadExpiry.run(everything), { uploads: 2, bytes: 1000 })
  t.same(await files(registry), [])
  for (const upload of [withBytes, empty]) {
    t.equal(refusal(await status(upload)), '404 BLOB_UPLOAD_UNKNOWN')
    t.equal(refusal(await append(upload, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
    t.equal(refusal(await finish(upload, digest, bytes)), '404 BLOB_UPLOAD_UNKNOWN')
  }
  t.same(await registry.services.uploadExpiry.run(everything), { uploads: 0, bytes: 0 }, 'once')
})

t.test('[54] only uploads that were begun long enough ago are dropped', async t => {
  const registry = await startRegistry(t)
  const admin = await openAdmin(t, registry)
  const { bytes, digest } = randomBlob(1000)
  const [old, young] = [await begin(registry, 'age/a'), await begin(registry, 'age/a')]
  await append(young, bytes)
  await admin.query(`update uploads set started_at = now() - interval '8 days' where id = $1`, [old.split('/').at(-1)])
  const week = 7 * 24 * 60 * 60 * 1000
  t.same(await registry.services.uploadExpiry.run({ ...everything, ageMs: week }), { uploads: 1, bytes: 0 })
  t.equal((await status(old)).status, 404)
  t.equal((await finish(young, digest)).status, 201)
})

t.test('an upload that is written to just now is not dropped, however old it is', async t => {
  const registry = await startRegistry(t)
  const { bytes, digest } = randomBlob(2_000_000)
  const upload = await begin(registry, 'busy/a')
  const sending = startSending(registry, upload, { method: 'PATCH' })
  await sending.send(bytes.subarray(0, 1_500_000))
  t.same(await registry.services.uploadExpiry.run(everything), { uploads: 0, bytes: 0 })
  await sending.send(bytes.subarray(1_500_000))
  sending.end()
  t.equal((await sending.answer).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
  t.ok(await has(registry, 'busy/a', { bytes, digest }))
})

t.test('a dry run tells what there is to drop, and drops nothing', async t => {
  const registry = await startRegistry(t)
  const { bytes } = randomBlob(1000)
  const uploads = await Promise.all(Array.from({ length: 3 }, () => begin(registry, 'dry/a')))
  for (const upload of uploads) await append(upload, bytes)
  t.same(await registry.services.uploadExpiry.run({ ...everything, dryRun: true }), { uploads: 3, bytes: 3000 })
  t.equal((await files(registry)).length, 3)
  for (const upload of uploads) t.equal((await status(upload)).status, 204)
})

t.test('a store that fails on the way keeps its uploads for the next time', async t => {
  let failing = true
  const wrapDriver = (driver: StorageDriver): StorageDriver => ({
    ...driver,
    async dropUpload(state) {
      if (failing) throw new Error('EIO: the disk says no')
      await driver.dropUpload(state)
    },
  })
  const registry = await startRegistry(t, { wrapDriver })
  const upload = await begin(registry, 'failing/a')
  await append(upload, randomBlob(1000).bytes)
  await t.rejects(registry.services.uploadExpiry.run(everything), /EIO/)
  t.equal((await files(registry)).length, 1)
  t.equal((await status(upload)).status, 204, 'the row still knows of the file')
  failing = false
  t.same(await registry.services.uploadExpiry.run(everything), { uploads: 1, bytes: 1000 })
  t.same(await files(registry), [])
})

t.test('an upload that another driver began is dropped, too', async t => {
  const registry = await startRegistry(t)
  const admin = await openAdmin(t, registry)
  await begin(registry, 'foreign/a')
  await admin.query(`update uploads set driver_state = '{"uploadId":"x","parts":[]}', byte_offset = 5`)
  t.same(await registry.services.uploadExpiry.run(everything), { uploads: 1, bytes: 5 })
})

t.test(
  'ten thousand uploads that are begun and abandoned take no memory, and go by the work of two processes',
  async t => {
    const registry = await startRegistry(t)
    const other = await startRegistry(t, { databaseUrl: registry.databaseUrl, root: registry.root })
    const count = 10_000
    const agent = new Agent({ keepAlive: true, maxSockets: 16 })
    t.teardown(() => agent.destroy())
    const first = await abandon(registry, 500, agent)
    const before = heap()
    const locations = await abandon(registry, count - 500, agent)
    const grown = heap() - before
    t.equal(new Set([...first, ...locations]).size, count, 'each has its own')
    // The locations themselves, which the test keeps, are about two megabytes.
    t.ok(grown < 8 * 1024 * 1024, `the heap grew by ${Math.round(grown / 1024)} KiB`)
    for (const upload of locations.slice(0, 50)) await append(upload, Buffer.from('begun'))
    t.equal((await files(registry)).length, 50)

    const runs = await Promise.all([registry, other].map(({ services }) => services.uploadExpiry.run(everything)))
    t.equal(
      runs.reduce((sum, run) => sum + run.uploads, 0),
      count,
      'each was dropped by one of the two',
    )
    t.equal(
      runs.reduce((sum, run) => sum + run.bytes, 0),
      250,
    )
    t.same(await files(registry), [])
    t.equal((await status(first[0] ?? '')).status, 404)
    t.equal((await status(locations.at(-1) ?? '')).status, 404)
  },
)

t.test('the work ends when the process is to end', async t => {
  const registry = await startRegistry(t)
  await Promise.all(Array.from({ length: 3 }, () => begin(registry, 'ending/a')))
  const aborted = await registry.services.uploadExpiry.run({ ...everything, signal: AbortSignal.abort() })
  t.same(aborted, { uploads: 0, bytes: 0 })
})

/** Begins so many uploads. @returns their URLs */
async function abandon({ url }: TestRegistry, count: number, agent: Agent): Promise<string[]> {
  const locations: string[] = []
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const post = request(`${url}/v2/abandoned/a/blobs/uploads/`, { method: 'POST', agent })
      post.once('error', reject)
      post.once('response', response => {
        locations.push(response.headers.location ?? '')
        response.resume()
        response.once('end', resolve)
      })
      post.end()
    })
  let left = count
  const client = async () => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: 16 }, client))
  return locations
}

/** Bytes that are really in use. */
function heap(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
  return process.memoryUsage().heapUsed
}

t.test('what a killed process left in the store, and no row knows of, is dropped when it is old enough', async t => {
  const registry = await startRegistry(t)
  const { bytes, digest } = randomBlob(1000)
  const orphan = await registry.driver.createUpload()
  await orphan.write([bytes])
  await orphan.close()
  const young = await begin(registry, 'young/a')
  await append(young, bytes)
  t.equal((await files(registry)).length, 2)
  const admin = await openAdmin(t, registry)
  await admin.query(`update uploads set started_at = now() + interval '1 hour'`)
  t.same(await registry.services.uploadExpiry.run(everything), { uploads: 0, bytes: 0 }, 'both are young')
  const longAgo = new Date(Date.now() - 3_600_000)
  for (const name of await files(registry)) await utimes(join(registry.root, 'uploads', name), longAgo, longAgo)
  t.same(await registry.services.uploadExpiry.run(everything), { uploads: 1, bytes: 1000 })
  t.equal((await files(registry)).length, 1, 'an upload that a row knows of stays')
  t.equal((await finish(young, digest)).status, 201)
})
