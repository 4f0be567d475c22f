import { randomBytes, randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type StorageDriver, UploadLost, type UploadState } from '../../storage-drivers/driver.ts'
import type { SwiftOptions } from '../../storage-drivers/swift/options.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { closing, get, put, saved } from './contract.ts'
import { type RawSwift, rawSwift, v1Options, type V1User } from './swift-servers.ts'

const mebibyte = 1024 * 1024

interface World {
  container: string
  raw: RawSwift
  open: (options?: Partial<SwiftOptions>) => Promise<StorageDriver>
}

/** What the driver promises beyond the contract, on each server that speaks Swift. */
export function testSwift(server: string, user: V1User): void {
  function test(title: string, check: (t: Test, world: World) => Promise<void>): void {
    void t.test(`${server}: ${title}`, async t => {
      const container = `test-${randomUUID()}`
      const open = (options: Partial<SwiftOptions> = {}) =>
        createSwiftDriver(v1Options(user, { container, chunkSize: mebibyte, ...options }))
      await check(t, { container, raw: await rawSwift(user), open })
    })
  }

  test('puts what fits one segment in one piece, saved or not, and leaves nothing beside it', async (t, world) => {
    await using driver = await world.open()
    const plain = await put(driver, 'blobs/a', randomBytes(1000))
    const session = await driver.createUpload()
    await session.write([randomBytes(1000)])
    await session.save()
    await session.write([randomBytes(1000)])
    await session.save()
    const twice = await session.commit('blobs/b')
    await session.close()
    for (const key of [plain, twice]) t.match(key, /^blobs\//)
    t.same(await world.raw.names(world.container), [`registry/${plain}`, `registry/${twice}`].toSorted())
  })

  test('joins segments, reads over their borders, and deletes them with the object', async (t, world) => {
    await using driver = await world.open()
    const bytes = randomBytes(5 * mebibyte + 12_345)
    const key = await put(driver, 'blobs/large', bytes)
    t.match(key, /^slo\//)
    t.equal((await world.raw.names(world.container)).length, 7, 'six segments and a manifest')
    t.equal(await driver.size(key), bytes.length)
    for (const [first, last] of [
      [0, bytes.length - 1],
      [mebibyte - 1, mebibyte],
      [mebibyte - 5, 3 * mebibyte + 5],
      [5 * mebibyte - 1, bytes.length - 1],
    ] as const) {
      t.ok(
        (await buffer(await driver.read(key, { first, last }))).equals(bytes.subarray(first, last + 1)),
        `${first}-${last}`,
      )
    }
    const plain = await put(driver, 'blobs/small', randomBytes(10))
    await driver.delete([key, plain, 'blobs/never', key.replace(/.$/, '_')])
    t.same(await world.raw.names(world.container), [])
    await t.resolves(driver.delete([key, plain]), 'again')
  })

  test('deletes many objects at once, and those that are there when some are not', async (t, world) => {
    await using driver = await world.open()
    const keys = await Promise.all(
      Array.from({ length: 25 }, (_, index) => put(driver, `blobs/${index}`, randomBytes(10))),
    )
    const [kept = '', ...others] = keys
    await driver.delete([...others, ...others.map(key => `${key}x`)])
    t.same(await world.raw.names(world.container), [`registry/${kept}`])
  })

  test('goes on in another instance, by segments and by the bytes that are too few for one', async (t, world) => {
    const bytes = randomBytes(4 * mebibyte)
    let state: UploadState | undefined
    for (const [from, to] of [
      [0, 10],
      [10, 2_000_000],
      [2_000_000, 2_000_001],
      [2_000_001, bytes.length],
    ] as const) {
      await using driver = await world.open()
      await using session = closing(
        state === undefined ? await driver.createUpload() : await driver.resumeUpload(state),
      )
      await session.write([bytes.subarray(from, to)])
      state = JSON.parse(JSON.stringify(await session.save())) as UploadState
      t.equal(state.offset, to)
      t.ok((await buffer(await driver.readUpload(state))).equals(bytes.subarray(0, to)), 'and reads it')
    }
    await using driver = await world.open()
    const session = await driver.resumeUpload(state ?? { offset: 0, driver: {} })
    const key = await session.commit('blobs/resumed')
    await session.close()
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
    await driver.delete([key])
    t.same(await world.raw.names(world.container), [], 'nothing is left')
  })

  test('leaves nothing of what was written behind an older state that it went back to', async (t, world) => {
    await using driver = await world.open()
    const session = await driver.createUpload()
    const empty = await session.save()
    const bytes = randomBytes(3 * mebibyte)
    await session.write([bytes.subarray(0, mebibyte + 1000)])
    const older = await session.save()
    await session.write([bytes.subarray(mebibyte + 1000)])
    await session.save()
    await session.close()
    for (const [state, more] of [
      [older, randomBytes(2 * mebibyte)],
      [empty, randomBytes(10)],
    ] as const) {
      // Each goes back in an upload of its own: the second one has the first one's leavings only if there are any.
      const resumed = await driver.resumeUpload(state)
      await resumed.write([more])
      const key = await resumed.commit('blobs/older')
      await resumed.close()
      const whole = Buffer.concat([bytes.subarray(0, state.offset), more])
      t.ok((await get(driver, key, whole.length)).equals(whole), `from ${state.offset}`)
      await driver.delete([key])
      t.same(await world.raw.names(world.container), [])
    }
  })

  test('goes back to the very beginning of an upload that has segments', async (t, world) => {
    await using driver = await world.open()
    const session = await driver.createUpload()
    const empty = await session.save()
    await session.write([randomBytes(3 * mebibyte)])
    await session.save()
    await session.close()
    const resumed = await driver.resumeUpload(empty)
    await resumed.write([Buffer.from('other')])
    const key = await resumed.commit('blobs/other')
    await resumed.close()
    t.equal((await get(driver, key, 5)).toString(), 'other')
    t.same(await world.raw.names(world.container), [`registry/${key}`])
  })

  test('takes nothing of a large object away when its upload is dropped after the commit', async (t, world) => {
    await using driver = await world.open()
    const bytes = randomBytes(2 * mebibyte + 1)
    const session = await driver.createUpload()
    await session.write([bytes])
    const state = await session.save()
    const key = await session.commit('blobs/kept')
    // Before the session has done away with the upload, and after.
    await driver.dropUpload(state)
    await session.close()
    await driver.dropUpload(state)
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
    await t.rejects(driver.resumeUpload(state), UploadLost)
    await driver.delete([key])
    t.same(await world.raw.names(world.container), [])
  })

  test('leaves an object whole whose upload the purger finds, as a process killed behind the commit leaves it', async (t, world) => {
    await using driver = await world.open()
    const bytes = randomBytes(2 * mebibyte + 1)
    const key = await put(driver, 'blobs/killed', bytes)
    const marker = `registry/uploads/${key.slice(key.lastIndexOf('/') + 1)}/open`
    t.equal((await world.raw.ask('PUT', `/${world.container}/${marker}`, { body: '' })).status, 201)
    for await (const state of driver.abandonedUploads(new Date(Date.now() + 60_000))) await driver.dropUpload(state)
    t.notOk((await world.raw.names(world.container)).includes(marker))
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
  })

  test('says that an upload with segments is lost when it was dropped, and leaves nothing', async (t, world) => {
    await using driver = await world.open()
    await using other = await world.open()
    const session = await driver.createUpload()
    await session.write([randomBytes(2 * mebibyte + 1)])
    const state = await session.save()
    await other.dropUpload(state)
    t.same(await world.raw.names(world.container), [])
    await t.rejects(session.commit('blobs/lost'), UploadLost)
    await session.close()
    t.same(await world.raw.names(world.container), [])
    await t.rejects(other.resumeUpload(state), UploadLost)
  })

  test('says that an upload is lost when it was dropped before it had segments', async (t, world) => {
    await using driver = await world.open()
    const session = await driver.createUpload()
    await session.write([randomBytes(10)])
    const state = await session.save()
    await driver.dropUpload(state)
    await t.rejects(async () => {
      await session.write([randomBytes(3 * mebibyte)])
      await session.commit('blobs/lost')
    }, UploadLost)
    await session.close()
    t.same(await world.raw.names(world.container), [])
  })

  test('has either a whole object or none when an upload is dropped while it is committed', async (t, world) => {
    await using driver = await world.open()
    await using other = await world.open()
    const bytes = randomBytes(2 * mebibyte + 1)
    const ends = { committed: 0, lost: 0 }
    // The one begins when the other has come so far; in the end, when it is done.
    let ms = 0
    for (let turn = 0; turn < 24; turn++) {
      const session = await driver.createUpload()
      await session.write([bytes])
      const state = await session.save()
      const began = performance.now()
      const first = turn % 2 === 0 ? session.commit('blobs/a') : other.dropUpload(state)
      await Promise.race([first.catch(() => {}), ...(turn < 22 ? [setTimeout((ms * turn) / 20)] : [])])
      const second = turn % 2 === 0 ? other.dropUpload(state) : session.commit('blobs/a')
      const [commit, drop] = await Promise.allSettled(turn % 2 === 0 ? [first, second] : [second, first])
      ms = Math.max(ms, performance.now() - began)
      await session.close()
      t.equal(drop?.status, 'fulfilled')
      if (commit?.status === 'fulfilled') {
        t.ok((await get(driver, String(commit.value), bytes.length)).equals(bytes))
        ends.committed++
      } else {
        t.type(commit?.reason, UploadLost)
        ends.lost++
      }
    }
    t.ok(
      Object.values(ends).every(count => count > 0),
      JSON.stringify(ends),
    )
  })

  test('says that an upload is lost when segments are gone that its state names', async (t, world) => {
    await using driver = await world.open()
    const session = await driver.createUpload()
    await session.write([randomBytes(2 * mebibyte + 1)])
    await session.save()
    const segment = (await world.raw.names(world.container)).find(name => name.includes('/segments/')) ?? ''
    await world.raw.ask('DELETE', `/${world.container}/${segment}`)
    await t.rejects(session.commit('blobs/incomplete'), UploadLost)
    await session.close()
  })

  test('tells how much is stored while it is written, without a gap and without a save', async (t, world) => {
    await using driver = await world.open()
    const bytes = randomBytes(3 * mebibyte + 5)
    const session = await driver.createUpload()
    t.equal(session.stored().offset, 0)
    await session.write([bytes])
    const offset = session.stored().offset
    t.ok(offset % mebibyte === 0 && offset <= 3 * mebibyte, `${offset}`)
    await session.save()
    const state = session.stored()
    t.equal(state.offset, bytes.length, 'after a save it is all')
    await session.close()
    const resumed = await driver.resumeUpload(state)
    t.equal(resumed.length, bytes.length)
    await resumed.close()
    await driver.dropUpload(state)
  })

  test('finds what a process that was killed left behind', async (t, world) => {
    await using driver = await world.open()
    const session = await driver.createUpload()
    await session.write([randomBytes(3 * mebibyte)])
    await session.close()
    await saved(driver, randomBytes(10))
    await put(driver, 'blobs/whole', randomBytes(2 * mebibyte + 1))
    const found = await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() + 60_000)))
    t.same(
      found.map(({ offset }) => offset).toSorted((a, b) => a - b),
      [10, 3 * mebibyte],
    )
    t.same(await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() - 60_000))), [])
    for (const state of found) await driver.dropUpload(state)
    t.equal((await world.raw.names(world.container)).length, 4, 'the object alone stays, with its segments')
  })

  test('leaves nothing of a check', async (t, world) => {
    await using driver = await world.open()
    await driver.check()
    t.same(await world.raw.names(world.container), [])
  })

  test('has names that a URL has to spell out', async (t, world) => {
    await using driver = await world.open({ prefix: '/Räume & mehr/100% +?#/' })
    const bytes = randomBytes(2 * mebibyte + 1)
    const keys = [await put(driver, 'blobs/a', bytes), await put(driver, 'blobs/b', randomBytes(10))]
    t.ok((await get(driver, keys[0] ?? '', bytes.length)).equals(bytes))
    t.ok((await world.raw.names(world.container)).every(name => name.startsWith('Räume & mehr/100% +?#/')))
    const state = await saved(driver, randomBytes(3 * mebibyte))
    t.equal((await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() + 60_000)))).length, 1)
    await driver.dropUpload(state)
    const url = await driver.signUrl?.(keys[1] ?? '', { expiresMs: 60_000 })
    t.equal((await fetch(url ?? '')).status, 200)
    await driver.delete([...keys, await put(driver, 'blobs/c', randomBytes(10))])
    t.same(await world.raw.names(world.container), [])
  })

  test('refuses to take a segment or an upload for an object', async (t, world) => {
    await using driver = await world.open()
    for (const key of ['', 'segments/x', 'uploads/x']) {
      await t.rejects(driver.delete([key]), /can not be the key of an object/)
      await t.rejects(driver.size(key), /can not be the key of an object/)
    }
  })

  test('signs URLs that need no token, for one object and for a time', async (t, world) => {
    await using driver = await world.open()
    const bodies = [randomBytes(1000), randomBytes(2 * mebibyte + 1)]
    const keys = [await put(driver, 'blobs/a', bodies[0] ?? fail()), await put(driver, 'blobs/b', bodies[1] ?? fail())]
    const sign = async (key: string, expiresMs: number) => (await driver.signUrl?.(key, { expiresMs })) ?? fail()
    for (const [index, key] of keys.entries()) {
      const answer = await fetch(await sign(key, 60_000))
      t.equal(answer.status, 200, key)
      t.ok(Buffer.from(await answer.arrayBuffer()).equals(bodies[index] ?? fail()))
      const part = await fetch(await sign(key, 60_000), { headers: { range: 'bytes=5-9' } })
      t.equal(part.status, 206)
      t.ok(Buffer.from(await part.arrayBuffer()).equals((bodies[index] ?? fail()).subarray(5, 10)))
    }
    const url = await sign(keys[0] ?? '', 60_000)
    const refused = [401, 403]
    t.ok(refused.includes((await fetch(url.replace(keys[0] ?? '', keys[1] ?? ''))).status), 'another object')
    t.ok(refused.includes((await fetch(url, { method: 'PUT', body: 'x' })).status), 'another method')
    t.ok(refused.includes((await fetch(url.replace(/\?.*/, ''))).status), 'without a signature')
    t.ok(refused.includes((await fetch(await sign(keys[0] ?? '', -5000))).status), 'when it has ended')
  })

  test('signs URLs for another way to the server', async (t, world) => {
    await using driver = await world.open()
    const key = await put(driver, 'blobs/a', Buffer.from('content'))
    const { host, port } = new URL(world.raw.url)
    const endpoint = `http://localhost:${port}`
    const url = (await driver.signUrl?.(key, { expiresMs: 60_000, endpoint })) ?? fail()
    t.ok(url.startsWith(`${endpoint}/`), `${url} is not below ${host}`)
    t.equal(await (await fetch(url.replace('localhost', '127.0.0.1'))).text(), 'content')
  })
}

function fail(): never {
  throw new Error('there is none')
}
