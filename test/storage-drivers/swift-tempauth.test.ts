import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import { OutOfSpace } from '../../storage-drivers/driver.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { get, put, testDriver } from './contract.ts'
import { rawSwift, serveSwift, v1Options } from './swift-servers.ts'
import { testSwift } from './swift-suite.ts'

const swift = await serveSwift()
if (swift !== undefined) {
  const user = swift.tempAuth

  t.test('Swift: processes that start at once agree on the key that they set', async t => {
    // An account that nobody has used yet.
    const fresh = { ...user, ...swift.otherUser }
    const container = `test-${randomUUID()}`
    const drivers = await Promise.all(
      Array.from({ length: 4 }, () => createSwiftDriver(v1Options(fresh, { container }))),
    )
    const [first = fail()] = drivers
    const key = await put(first, 'blobs/a', Buffer.from('content'))
    for (const driver of drivers) {
      const url = (await driver.signUrl?.(key, { expiresMs: 60_000 })) ?? fail()
      t.equal(await (await fetch(url)).text(), 'content')
      t.equal(url.match(/temp_url_sig=([0-9a-f]*)/)?.[1]?.length, 64, 'by SHA-256')
    }
    for (const driver of drivers) await driver[Symbol.asyncDispose]()
  })

  testDriver('swift', async () => {
    const container = `test-${randomUUID()}`
    return () => createSwiftDriver(v1Options(user, { container }))
  })

  testSwift('Swift', user)

  t.test('Swift: a quota is no room, and what is there can be read and deleted', async t => {
    const container = `full-${randomUUID()}`
    await using driver = await createSwiftDriver(v1Options(user, { container, chunkSize: 1024 * 1024 }))
    const raw = await rawSwift(user)
    const key = await put(driver, 'blobs/small', Buffer.from('content'))
    const session = await driver.createUpload()
    await session.write([randomBytes(2 * 1024 * 1024)])
    const state = await session.save()
    await session.close()
    await raw.ask('POST', `/${container}`, { headers: { 'x-container-meta-quota-bytes': '1000' } })
    await t.rejects(put(driver, 'blobs/a', randomBytes(10_000)), OutOfSpace)
    await t.rejects(put(driver, 'blobs/b', randomBytes(3_000_000)), OutOfSpace)
    await t.rejects(driver.check(), { message: /takes no more bytes into the container full-.*quota/ })
    await using late = await createSwiftDriver(v1Options(user, { container }))
    t.equal((await get(late, key, 7)).toString(), 'content')
    await late.dropUpload(state)
    await late.delete([key])
  })

  t.test('Swift: signs by the key of the settings, of the container, or of the account', async t => {
    const container = `test-${randomUUID()}`
    const open = (tempUrl: { key?: string; containerKey: boolean }) =>
      createSwiftDriver(v1Options(user, { container, tempUrl }))
    await using byContainer = await open({ containerKey: true })
    const raw = await rawSwift(user)
    const made = (await raw.ask('HEAD', `/${container}`)).headers.get('x-container-meta-temp-url-key')
    t.match(made, /^[0-9a-f]{48}$/, 'one was set')
    const key = await put(byContainer, 'blobs/a', randomBytes(6_000_000))
    await using bySettings = await open({ containerKey: false, key: made ?? '' })
    await using byAccount = await open({ containerKey: false })
    for (const driver of [byContainer, bySettings, byAccount]) {
      const url = (await driver.signUrl?.(key, { expiresMs: 60_000 })) ?? fail()
      t.equal((await (await fetch(url)).arrayBuffer()).byteLength, 6_000_000)
    }
    await t.rejects(open({ containerKey: false, key: 'another' }), { message: /storage\.swift\.secretkey/ })
  })

  t.test('Swift: signs no URLs where only other methods are wanted', async t => {
    const tempUrl = { containerKey: false, methods: ['HEAD'] }
    await using driver = await createSwiftDriver(v1Options(user, { container: `test-${randomUUID()}`, tempUrl }))
    t.notOk('signUrl' in driver)
  })
}

function fail(): never {
  throw new Error('there is none')
}
