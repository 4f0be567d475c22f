import { createHash, randomBytes } from 'node:crypto'
import { Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  ObjectNotFound,
  type OpenObject,
  type StorageDriver,
  UploadLost,
  type UploadState,
  type WriteSession,
} from '../../storage-drivers/driver.ts'
import { openFiles, until } from './open-files.ts'

/** Opens a driver on the back end of one test: each call gives another instance, as another process would have it. */
export type OpenDriver = () => Promise<StorageDriver>

/**
 * The promises of `storage-drivers/driver.ts`, each as a test, for a driver against its real back end. The back end
 * that `setUp` prepares is empty, and is gone with the test that it is given.
 */
export function testDriver(name: string, setUp: (t: Test) => Promise<OpenDriver>): void {
  const test = (title: string, check: (t: Test, driver: StorageDriver, open: OpenDriver) => Promise<void>): void => {
    void t.test(`${name}: ${title}`, async t => {
      const open = await setUp(t)
      await using driver = await open()
      await check(t, driver, open)
    })
  }

  test('says its name', async (t, driver) => {
    t.equal(driver.name, name)
  })

  test('says that it takes and gives bytes, and leaves nothing of the check', async (t, driver) => {
    await t.resolves(driver.check())
    await t.resolves(driver.check(), 'again')
  })

  test('gives back what was written and committed, under the key that the commit tells', async (t, driver) => {
    const bytes = randomBytes(1000)
    const key = await put(driver, 'blobs/one', bytes)
    t.type(key, 'string')
    t.equal(await driver.size(key), 1000)
    t.same(await get(driver, key, 1000), bytes)
  })

  test('shows nothing of an object before its commit', async (t, driver) => {
    await using session = closing(await driver.createUpload())
    await session.write([randomBytes(1000)])
    const state = await session.save()
    t.equal(await driver.size('blobs/hidden'), undefined)
    await t.rejects(driver.read('blobs/hidden', { first: 0, last: 999 }), ObjectNotFound)
    await driver.dropUpload(state)
  })

  test('has an empty object, by whichever way it is made', async (t, driver, open) => {
    const silent = closing(await driver.createUpload())
    const keys = [await silent.commit('blobs/silent')]
    await silent.close()
    keys.push(await put(driver, 'blobs/no-chunks'))
    keys.push(await put(driver, 'blobs/empty-chunk', Buffer.alloc(0)))
    const paused = closing(await driver.createUpload())
    const state = await paused.save()
    await paused.close()
    await using other = await open()
    const resumed = await other.resumeUpload(overTheWire(state))
    keys.push(await resumed.commit('blobs/resumed'))
    await resumed.close()
    t.equal(new Set(keys).size, 4)
    for (const key of keys) {
      t.equal(await driver.size(key), 0, key)
      t.equal((await get(driver, key, 0)).length, 0, key)
    }
  })

  test('keeps the order and every byte of many chunks, of empty and of huge ones', async (t, driver) => {
    const huge = randomBytes(9 * 1024 * 1024)
    const many = Array.from({ length: 3000 }, (_, index) => Buffer.from(`${index},`))
    const writes = [
      many,
      [Buffer.alloc(0), huge.subarray(0, 5_000_001), Buffer.alloc(0)],
      [],
      [huge.subarray(5_000_001)],
    ]
    await using session = closing(await driver.createUpload())
    for (const chunks of writes) await session.write(chunks)
    const whole = Buffer.concat(writes.flat())
    t.equal((await session.save()).offset, whole.length)
    const key = await session.commit('blobs/many')
    t.ok((await get(driver, key, whole.length)).equals(whole))
  })

  test('is done with the chunks when the write resolves', async (t, driver) => {
    const reused = Buffer.alloc(300_000)
    await using session = closing(await driver.createUpload())
    for (const fill of ['a', 'b', 'c']) await session.write([reused.fill(fill)])
    reused.fill('x')
    const key = await session.commit('blobs/reused')
    const text = (await get(driver, key, 900_000)).toString()
    t.equal(text, 'a'.repeat(300_000) + 'b'.repeat(300_000) + 'c'.repeat(300_000))
  })

  test('writes several objects at once, each its own', async (t, driver) => {
    const bodies = Array.from({ length: 8 }, () => Array.from({ length: 20 }, () => randomBytes(30_000)))
    const sessions = await Promise.all(bodies.map(() => driver.createUpload()))
    for (let turn = 0; turn < 20; turn++) {
      await Promise.all(sessions.map((session, index) => session.write([bodies[index]?.[turn] ?? Buffer.alloc(0)])))
    }
    const keys = await Promise.all(sessions.map((session, index) => session.commit(`blobs/several-${index}`)))
    await Promise.all(sessions.map(session => session.close()))
    for (const [index, key] of keys.entries()) {
      t.ok((await get(driver, key, 600_000)).equals(Buffer.concat(bodies[index] ?? [])), `object ${index}`)
    }
  })

  test('replaces an object in one step: who reads it meanwhile gets all of it', async (t, driver) => {
    const bytes = randomBytes(3_000_000)
    const key = await put(driver, 'blobs/again', bytes)
    const early = await driver.read(key, { first: 0, last: bytes.length - 1 })
    const writing = new AbortController()
    const reads = (async () => {
      let count = 0
      for (; !writing.signal.aborted; count++) {
        const found = await get(driver, key, bytes.length)
        if (!found.equals(bytes)) throw new Error(`reading found ${found.length} bytes that are not the object`)
      }
      return count
    })()
    const later: string[] = []
    for (let turn = 0; turn < 10; turn++) later.push(await put(driver, 'blobs/again', bytes))
    writing.abort()
    t.ok((await reads) > 0, 'it was read in the meantime')
    t.ok((await buffer(early)).equals(bytes), 'a stream that was open before')
    for (const other of new Set(later)) t.ok((await get(driver, other, bytes.length)).equals(bytes), 'what stands now')
  })

  test('commits one key from two sessions at once', async (t, driver) => {
    const bytes = randomBytes(100_000)
    const keys = await Promise.all(Array.from({ length: 10 }, () => put(driver, 'blobs/race/deep/below', bytes)))
    for (const key of new Set(keys)) t.ok((await get(driver, key, bytes.length)).equals(bytes))
  })

  test('goes on in another process from what was saved, as plain JSON', async (t, driver, open) => {
    const parts = [randomBytes(70_000), randomBytes(1), randomBytes(400_000)]
    let state: UploadState | undefined
    for (const [index, part] of parts.entries()) {
      await using instance = await open()
      await using session = closing(
        state === undefined ? await instance.createUpload() : await instance.resumeUpload(overTheWire(state)),
      )
      await session.write([part])
      state = await session.save()
      t.equal(state.offset, Buffer.concat(parts.slice(0, index + 1)).length)
    }
    await using session = closing(await driver.resumeUpload(overTheWire(state ?? fail())))
    const key = await session.commit('blobs/resumed')
    t.ok((await get(driver, key, 470_001)).equals(Buffer.concat(parts)))
  })

  test('goes on in the session after a save', async (t, driver) => {
    await using session = closing(await driver.createUpload())
    t.equal((await session.save()).offset, 0)
    await session.write([Buffer.from('one ')])
    t.equal((await session.save()).offset, 4)
    await session.write([Buffer.from('two')])
    t.equal((await session.save()).offset, 7)
    t.equal((await get(driver, await session.commit('blobs/saved'), 7)).toString(), 'one two')
  })

  test('drops the bytes that were written behind the saved offset', async (t, driver, open) => {
    const session = await driver.createUpload()
    await session.write([Buffer.from('kept ')])
    const state = await session.save()
    await session.write([Buffer.from('never saved, and longer than what comes instead')])
    await session.close()
    await using other = await open()
    await using resumed = closing(await other.resumeUpload(overTheWire(state)))
    t.equal((await resumed.save()).offset, 5)
    await resumed.write([Buffer.from('right')])
    const key = await resumed.commit('blobs/cut')
    t.equal(await driver.size(key), 10)
    t.equal((await get(driver, key, 10)).toString(), 'kept right')
  })

  test('goes back to an older state, too, and drops what was saved after it', async (t, driver) => {
    const session = await driver.createUpload()
    await session.write([randomBytes(200_000)])
    const older = await session.save()
    const kept = await buffer(await driver.readUpload(older))
    await session.write([randomBytes(200_000)])
    await session.save()
    await session.close()
    await using resumed = closing(await driver.resumeUpload(overTheWire(older)))
    const key = await resumed.commit('blobs/older')
    t.equal(await driver.size(key), 200_000)
    t.ok((await get(driver, key, 200_000)).equals(kept))
  })

  test('reads an upload from its first byte to the offset of its state, while it is written', async (t, driver, open) => {
    const bytes = randomBytes(2_000_000)
    await using session = closing(await driver.createUpload())
    const empty = await session.save()
    await session.write([bytes.subarray(0, 1_500_000)])
    const state = await session.save()
    await session.write([bytes.subarray(1_500_000)])
    await using other = await open()
    t.equal((await buffer(await other.readUpload(overTheWire(empty)))).length, 0)
    t.ok((await buffer(await other.readUpload(overTheWire(state)))).equals(bytes.subarray(0, 1_500_000)))
    t.ok((await buffer(await driver.readUpload(await session.save()))).equals(bytes))
    const key = await session.commit('blobs/read-before')
    t.ok((await get(driver, key, bytes.length)).equals(bytes), 'and takes nothing away')
  })

  test('drops an upload, once and again', async (t, driver, open) => {
    const state = await saved(driver, randomBytes(100_000))
    await using other = await open()
    await t.resolves(other.dropUpload(overTheWire(state)))
    await t.resolves(driver.dropUpload(state), 'one that is gone')
    await t.rejects(driver.resumeUpload(state), UploadLost)
    await t.rejects(readUpload(driver, state), UploadLost)
  })

  test('has no upload any more after the commit, and leaves the object when it is dropped', async (t, driver) => {
    const session = await driver.createUpload()
    await session.write([Buffer.from('content')])
    const state = await session.save()
    const key = await session.commit('blobs/committed')
    await session.close()
    await t.rejects(driver.resumeUpload(state), UploadLost)
    await t.rejects(readUpload(driver, state), UploadLost)
    await t.resolves(driver.dropUpload(state))
    t.equal((await get(driver, key, 7)).toString(), 'content')
  })

  test('says that an upload is lost when it was dropped while it was written', async (t, driver) => {
    await using session = closing(await driver.createUpload())
    await session.write([Buffer.from('content')])
    await driver.dropUpload(await session.save())
    await t.rejects(session.commit('blobs/dropped'), UploadLost)
    t.equal(await driver.size('blobs/dropped'), undefined)
  })

  test('says that an upload is lost when its state is of nothing that it knows', async (t, driver) => {
    const foreign: UploadState = { offset: 3, driver: { bucket: 'elsewhere', parts: [] } }
    await t.rejects(driver.resumeUpload(foreign), UploadLost)
    await t.rejects(readUpload(driver, foreign), UploadLost)
    await t.resolves(driver.dropUpload(foreign), 'which is no reason not to go on without it')
  })

  test('gives exactly the range', async (t, driver) => {
    const bytes = randomBytes(1_000_000)
    const key = await put(driver, 'blobs/ranges', bytes)
    const ranges = [
      [0, 0],
      [999_999, 999_999],
      [0, 999_999],
      [1, 999_998],
      [262_143, 262_144],
      [262_144, 524_287],
      [262_143, 786_433],
      [500_000, 499_999],
      [0, -1],
    ] as const
    for (const [first, last] of ranges) {
      const found = await buffer(await driver.read(key, { first, last }))
      t.ok(found.equals(bytes.subarray(first, last + 1)), `${first}-${last}`)
    }
  })

  test('fails at the end of an object that is shorter than the range, and never ends as if that were all', async (t, driver) => {
    const key = await put(driver, 'blobs/short', randomBytes(400_000))
    for (const [first, last] of [
      [0, 400_000],
      [0, 9_999_999],
      [399_999, 400_000],
      [400_000, 400_000],
      [500_000, 600_000],
    ] as const) {
      let ended = false
      let length = 0
      const sink = new Writable({
        write(chunk: Buffer, _encoding, done) {
          length += chunk.length
          done()
        },
        final(done) {
          ended = true
          done()
        },
      })
      await t.rejects(
        async () => pipeline(await driver.read(key, { first, last }), sink),
        `${first}-${last} of 400000 bytes`,
      )
      t.notOk(ended, 'it did not end')
      t.ok(length <= Math.max(400_000 - first, 0), 'it gave nothing that is not there')
    }
  })

  test('has no object where none was committed, or where it was deleted', async (t, driver) => {
    const key = await put(driver, 'blobs/gone', Buffer.from('soon'))
    await driver.delete([key])
    for (const missing of ['blobs/never', 'blobs/never/below', key]) {
      t.equal(await driver.size(missing), undefined)
      await t.rejects(driver.read(missing, { first: 0, last: 3 }), ObjectNotFound)
      if (driver.openObject !== undefined) await t.rejects(driver.openObject(missing), ObjectNotFound)
    }
  })

  test('gives a body larger than every buffer to a sink that starts late and is slow', async (t, driver) => {
    const { hash, size, key } = await putLarge(driver, 'blobs/large')
    t.equal(await driver.size(key), size)
    const body = await driver.read(key, { first: 0, last: size - 1 })
    for (let turn = 0; turn < 50; turn++) await setImmediate()
    const sums = createHash('sha256')
    let length = 0
    await pipeline(body, async source => {
      for await (const chunk of source) {
        if (!Buffer.isBuffer(chunk)) continue
        sums.update(chunk)
        length += chunk.length
        await setImmediate()
      }
    })
    t.equal(length, size)
    t.equal(sums.digest('hex'), hash)
  })

  test('reads one object many times at once', async (t, driver) => {
    const bytes = randomBytes(700_000)
    const key = await put(driver, 'blobs/shared', bytes)
    const found = await Promise.all(Array.from({ length: 20 }, () => get(driver, key, bytes.length)))
    t.ok(found.every(one => one.equals(bytes)))
  })

  test('fills buffers from an object that it opens, in their order, and says how much there was', async (t, driver) => {
    const bytes = randomBytes(300_000)
    const key = await put(driver, 'blobs/opened', bytes)
    const object = await openObject(t, driver, key)
    if (object === undefined) return
    for (const [position, sizes, wanted] of [
      [0, [300_000], 300_000],
      [0, [65_536, 65_536, 65_536, 65_536], 262_144],
      [1, [1], 1],
      [262_143, [10, 65_536], 37_857],
      [299_999, [65_536, 65_536], 1],
      [300_000, [10], 0],
      [999_999, [10, 10], 0],
    ] as const) {
      const buffers = sizes.map(size => Buffer.alloc(size, 'x'))
      const count = await object.read(buffers, position)
      t.equal(count, wanted, `${sizes.join(' + ')} bytes at ${position}`)
      const found = Buffer.concat(buffers)
      t.ok(found.subarray(0, count).equals(bytes.subarray(position, position + count)))
      t.ok(
        found.subarray(count).every(byte => byte === 0x78),
        'and nothing is written behind',
      )
    }
    object.release()
  })

  test('goes on with an object that is open when it is deleted or replaced, and not with the next', async (t, driver) => {
    const key = await put(driver, 'blobs/held', Buffer.from('first'))
    const first = await openObject(t, driver, key)
    if (first === undefined) return
    const again = await put(driver, 'blobs/held', Buffer.from('second'))
    const second = (await openObject(t, driver, again)) ?? fail()
    t.equal(await textOf(first), 'first')
    t.equal(await textOf(second), 'second', 'what was committed is seen at once')
    await driver.delete([key, again])
    await t.rejects(openObject(t, driver, again), ObjectNotFound, 'what was deleted is gone at once')
    t.equal(await textOf(first), 'first')
    t.equal(await textOf(second), 'second')
    first.release()
    t.equal(await textOf(second), 'second', 'each is let go by itself')
    second.release()
  })

  test('lets reads end that are under way when their object is released, and takes no more', async (t, driver) => {
    const bytes = randomBytes(1_000_000)
    const key = await put(driver, 'blobs/released', bytes)
    const object = await openObject(t, driver, key)
    if (object === undefined) return
    const found = Buffer.alloc(1_000_000)
    const reading = object.read([found], 0)
    object.release()
    object.release()
    await driver.delete([key])
    t.equal(await reading, 1_000_000)
    t.ok(found.equals(bytes))
    await t.rejects(object.read([found], 0), /after its release/)
  })

  test('opens one object many times at once', async (t, driver) => {
    const bytes = randomBytes(100_000)
    const key = await put(driver, 'blobs/popular', bytes)
    const objects = await Promise.all(Array.from({ length: 50 }, () => openObject(t, driver, key)))
    for (const [index, object] of objects.entries()) {
      if (object === undefined) return
      const found = Buffer.alloc(10)
      t.equal(await object.read([found], index * 100), 10)
      t.ok(found.equals(bytes.subarray(index * 100, index * 100 + 10)))
      object.release()
    }
  })

  test('deletes objects, and takes it well when they are not there', async (t, driver, open) => {
    const keys = await Promise.all(['a', 'b', 'c'].map(part => put(driver, `blobs/${part}`, Buffer.from(part))))
    const [first = fail(), ...others] = keys
    await using other = await open()
    await other.delete(['blobs/never', ...others])
    for (const key of others) t.equal(await driver.size(key), undefined)
    t.equal((await get(driver, first, 1)).toString(), 'a', 'the one that was not named stays')
    await t.resolves(driver.delete([...keys, 'blobs/never']), 'again')
    t.equal(await driver.size(first), undefined)
    await t.resolves(driver.delete([]), 'none')
  })

  test('can have an object again after its deletion', async (t, driver) => {
    await driver.delete([await put(driver, 'blobs/back', Buffer.from('one'))])
    const key = await put(driver, 'blobs/back', Buffer.from('three'))
    t.equal((await get(driver, key, 5)).toString(), 'three')
  })

  test('shows at once in one process what another one did', async (t, driver, open) => {
    await using other = await open()
    const key = await put(driver, 'blobs/both', Buffer.from('seen'))
    t.equal((await get(other, key, 4)).toString(), 'seen')
    await other.delete([key])
    t.equal(await driver.size(key), undefined)
  })

  test('tells of uploads that nothing was written to since, and of no others', async (t, driver, open) => {
    const left = await driver.createUpload()
    await left.write([randomBytes(400)])
    const saved = [await left.save()]
    await left.write([randomBytes(600)])
    saved.push(await left.save())
    await left.close()
    await put(driver, 'blobs/committed', randomBytes(10))
    await using other = await open()
    const found = await Array.fromAsync(other.abandonedUploads(new Date(Date.now() + 60_000)))
    t.same(
      found.map(state => state.offset),
      [1000],
    )
    // By this the row of an upload is found, whichever of its states stands in it.
    for (const [name, value] of found.flatMap(state => Object.entries(overTheWire(state).driver)))
      for (const state of saved) t.same(overTheWire(state).driver[name], value, `${name} is part of every state`)
    t.same(await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() - 60_000))), [], 'it is young')
    for (const state of found) await other.dropUpload(overTheWire(state))
    t.same(await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() + 60_000))), [], 'it is gone')
  })

  void t.test(`${name}: holds nothing open when all is done, whatever way it ended`, async t => {
    const open = await setUp(t)
    await everyWay(await open())
    const before = openFiles()
    if (before === undefined) {
      t.plan(0, 'needs /proc')
      return
    }
    for (let turn = 0; turn < 3; turn++) await everyWay(await open())
    const extra = await until(
      () => (openFiles() ?? []).filter(file => !before.includes(file)),
      files => files.length === 0,
    )
    t.same(extra, [])
  })
}

/** Each way in which a session or a stream comes to its end, then the driver's own. */
async function everyWay(driver: StorageDriver): Promise<void> {
  const bytes = randomBytes(2_000_000)
  const last = bytes.length - 1
  const key = await put(driver, 'blobs/every-way', bytes)
  await get(driver, key, bytes.length)
  const unread = await driver.read(key, { first: 0, last })
  unread.destroy()
  for await (const chunk of await driver.read(key, { first: 0, last })) if (Buffer.isBuffer(chunk)) break
  await buffer(await driver.read(key, { first: 0, last: last + 1 })).catch(() => {})
  await driver.read('blobs/never', { first: 0, last: 0 }).catch(() => {})
  const object = await driver.openObject?.(key)
  await object?.read([Buffer.alloc(10)], 0)
  object?.release()
  await driver.openObject?.('blobs/never').catch(() => {})

  const state = await saved(driver, bytes)
  const again = await driver.resumeUpload(state)
  await again.close()
  await buffer(await driver.readUpload(state))
  const half = await driver.readUpload(state)
  half.destroy()
  await driver.resumeUpload({ ...state, offset: state.offset + 1 }).then(
    session => session.close(),
    () => {},
  )
  await driver.dropUpload(state)
  await driver.resumeUpload(state).catch(() => {})
  await driver.readUpload(state).then(
    stream => stream.destroy(),
    () => {},
  )
  await driver.check()
  await driver.delete([key])
  await driver[Symbol.asyncDispose]()
}

/** Stores an object. @returns the key under which it stands */
export async function put(driver: StorageDriver, key: string, ...chunks: readonly Buffer[]): Promise<string> {
  await using session = closing(await driver.createUpload())
  await session.write(chunks)
  return await session.commit(key)
}

/** Reads a whole object of this size. */
export async function get(driver: StorageDriver, key: string, size: number): Promise<Buffer> {
  return buffer(await driver.read(key, { first: 0, last: size - 1 }))
}

/** An upload with these bytes, which nobody writes to at the moment. */
export async function saved(driver: StorageDriver, bytes: Buffer): Promise<UploadState> {
  await using session = closing(await driver.createUpload())
  await session.write([bytes])
  return await session.save()
}

/** A session that is closed at the end of its block, whatever happens in it. */
export function closing(session: WriteSession): WriteSession & AsyncDisposable {
  // Not a copy: its length is another one with each write.
  return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() })
}

async function readUpload(driver: StorageDriver, state: UploadState): Promise<Buffer> {
  return buffer(await driver.readUpload(state))
}

/** Forty mebibytes, as a request's body would bring them. */
async function putLarge(driver: StorageDriver, key: string) {
  const pattern = randomBytes(1024 * 1024 + 7)
  const sums = createHash('sha256')
  let size = 0
  const body = Readable.from(
    (function* () {
      for (let part = 0; part < 40; part++) yield pattern.subarray(part)
    })(),
  )
  await using session = closing(await driver.createUpload())
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) continue
    sums.update(chunk)
    size += chunk.length
    await session.write([chunk])
  }
  return { key: await session.commit(key), size, hash: sums.digest('hex') }
}

/** The first bytes of an object. */
async function textOf(object: OpenObject): Promise<string> {
  const found = Buffer.alloc(10)
  return found.toString('latin1', 0, await object.read([found], 0))
}

/** Opens an object. @returns undefined where the driver has streams alone, which passes the test */
async function openObject(t: Test, driver: StorageDriver, key: string): Promise<OpenObject | undefined> {
  if (driver.openObject === undefined) t.pass('this driver opens no objects')
  return driver.openObject?.(key)
}

/** What comes out of the database in another process. */
function overTheWire(state: UploadState): UploadState {
  return JSON.parse(JSON.stringify(state)) as UploadState
}

function fail(): never {
  throw new Error('there is none')
}
