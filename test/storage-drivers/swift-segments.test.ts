import { randomBytes, randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { SwiftInfo } from '../../storage-drivers/swift/info.ts'
import { createSegmentSizes } from '../../storage-drivers/swift/segments.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { get } from './contract.ts'
import { rawSwift, serveSwift, v1Options } from './swift-servers.ts'

const mebibyte = 2 ** 20
const gibibyte = 2 ** 30
const tebibyte = 2 ** 40

const info: SwiftInfo = {
  segments: 1000,
  manifestBytes: 8 * mebibyte,
  leastSegment: 1,
  mostBytes: 5 * gibibyte,
  genuine: true,
  deletes: 1000,
  tempUrl: { methods: [], digests: [] },
}

function capacity({ most, sizeOf }: ReturnType<typeof createSegmentSizes>): number {
  let sum = 0
  for (let number = 1; number <= most; number++) sum += sizeOf(number)
  return sum
}

t.test('segments stay as they are where manifests may name manifests, and 5 TiB fit', async t => {
  const sizes = createSegmentSizes(20 * mebibyte, info, 150)
  t.equal(sizes.sizeOf(1), 20 * mebibyte)
  t.equal(sizes.sizeOf(500_000), 20 * mebibyte)
  t.ok(capacity(sizes) >= 5 * tebibyte)
})

t.test('segments grow where one manifest has to name them all, up to what an object can be', async t => {
  const sizes = createSegmentSizes(20 * mebibyte, { ...info, genuine: false }, 150)
  t.equal(sizes.most, 1000)
  t.equal(sizes.sizeOf(100), 20 * mebibyte)
  t.equal(sizes.sizeOf(101), 40 * mebibyte)
  t.equal(sizes.sizeOf(1000), 5 * gibibyte)
  t.ok(capacity(sizes) >= 1.4 * tebibyte)
})

t.test('a manifest has no more entries than bytes for them, and segments have the sizes that are allowed', async t => {
  const few = createSegmentSizes(20 * mebibyte, { ...info, genuine: false, manifestBytes: 27_000 }, 150)
  t.equal(few.most, 100)
  const large = createSegmentSizes(10 * gibibyte, info, 150)
  t.equal(large.chunkSize, 5 * gibibyte)
  const old = createSegmentSizes(1000, { ...info, leastSegment: mebibyte }, 150)
  t.equal(old.chunkSize, mebibyte)
  t.equal(old.leastOf(1), mebibyte)
})

const swift = await serveSwift({ maxManifestSegments: 4 })
if (swift !== undefined) {
  t.test('an object of more segments than a manifest can name has manifests of manifests', async t => {
    const container = `test-${randomUUID()}`
    const raw = await rawSwift(swift.tempAuth)
    await using driver = await createSwiftDriver(v1Options(swift.tempAuth, { container, chunkSize: mebibyte }))
    const bytes = randomBytes(10 * mebibyte + 5)
    const session = await driver.createUpload()
    await session.write([bytes])
    const key = await session.commit('blobs/nested')
    await session.close()
    t.equal((await raw.names(container)).length, 11 + 3 + 1)
    t.equal(await driver.size(key), bytes.length)
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
    const [first, last] = [4 * mebibyte - 3, 9 * mebibyte + 3]
    t.ok((await buffer(await driver.read(key, { first, last }))).equals(bytes.subarray(first, last + 1)))
    const url = await driver.signUrl?.(key, { expiresMs: 60_000 })
    t.ok(Buffer.from(await (await fetch(url ?? '')).arrayBuffer()).equals(bytes), 'by a signed URL too')
    await driver.delete([key])
    t.same(await raw.names(container), [])
  })

  t.test('an upload that is saved after each few bytes does not run out of segments', async t => {
    const container = `test-${randomUUID()}`
    const raw = await rawSwift(swift.tempAuth)
    await using driver = await createSwiftDriver(v1Options(swift.tempAuth, { container, chunkSize: 1000, parallel: 1 }))
    const bytes = randomBytes(3000)
    const session = await driver.createUpload()
    for (let from = 0; from < bytes.length; from += 100) {
      await session.write([bytes.subarray(from, from + 100)])
      await session.save()
    }
    const key = await session.commit('blobs/many')
    await session.close()
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
    await driver.delete([key])
    t.same(await raw.names(container), [])
  })

  t.test('an object that is larger than everything that manifests can name is refused', async t => {
    const container = `test-${randomUUID()}`
    await using driver = await createSwiftDriver(v1Options(swift.tempAuth, { container, chunkSize: 1000 }))
    const session = await driver.createUpload()
    await t.rejects(async () => {
      await session.write([randomBytes(17_001)])
      await session.save()
    }, /no more than 16 segments/)
    await driver.dropUpload(session.stored())
    await session.close()
  })
}
