import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { BodyBroken, type Filled, piecesOf } from '../../server/bytes/body.ts'
import { type BufferPool, createBufferPool, largeSize, smallSize } from '../../server/bytes/buffers.ts'
import { createFilling, type Filling } from '../../server/bytes/filling.ts'
import { createRandom } from '../faults/random.ts'

interface Made extends Filling {
  pool: BufferPool
  /** How often it was told that there is room again. */
  told: { times: number }
}

function make(t: Test, pool = createBufferPool()): Made {
  const told = { times: 0 }
  const filling = createFilling({ pool, onRoom: () => void told.times++ })
  t.teardown(() => filling.stop())
  return Object.assign(filling, { pool, told })
}

/** Writes payload, as much as there is room for. @returns what is left */
function pour(filling: Filling, bytes: Buffer): Buffer {
  let left = bytes
  for (let room = filling.room(); room !== undefined && left.length > 0; room = filling.room()) {
    const length = Math.min(room.length, left.length)
    room.set(left.subarray(0, length))
    filling.advance(length, [0, length])
    left = left.subarray(length)
  }
  return left
}

const bytesOf = (filled: Filled) => Buffer.concat(piecesOf(filled))

async function readAll(filling: Filling): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let filled = await filling.next(); filled !== undefined; filled = await filling.next()) {
    parts.push(bytesOf(filled))
    filled.release()
  }
  return Buffer.concat(parts)
}

const random = createRandom(1)

t.test('a body that is small comes in one buffer, which is the last', async t => {
  const filling = make(t)
  pour(filling, Buffer.from('hello'))
  filling.end()
  const filled = await filling.next()
  t.match(filled, { last: true, length: 5 })
  t.equal(filled === undefined ? '' : bytesOf(filled).toString(), 'hello')
  t.equal(await filling.next(), undefined)
  t.equal(await filling.next(), undefined, 'and stays so')
  filled?.release()
  t.equal(filling.pool.out, 0)
})

t.test('an empty body has no buffer, and keeps none', async t => {
  const filling = make(t)
  filling.end()
  t.equal(await filling.next(), undefined)
  t.equal(filling.pool.out, 0)
})

t.test('whoever asks before anything came gets it when a buffer is full, or when it ends', async t => {
  const filling = make(t)
  const first = filling.next()
  pour(filling, Buffer.alloc(smallSize - 10, 'a'))
  t.match(await first, { length: smallSize - 10, last: false })
  const second = filling.next()
  pour(filling, Buffer.from('b'))
  filling.end()
  t.match(await second, { length: 1, last: true })
  const third = filling.next()
  t.equal(await third, undefined)
})

t.test('what ends exactly with a full buffer says so, if it is still here', async t => {
  const filling = make(t)
  pour(filling, Buffer.alloc(smallSize))
  filling.end()
  t.match(await filling.next(), { length: smallSize, last: true })
})

t.test('everything arrives in order, whoever is faster', async t => {
  const filling = make(t)
  const bytes = random.bytes(9 * 1024 * 1024)
  const reading = readAll(filling)
  let left = bytes
  while (left.length > 0) {
    const part = left.subarray(0, random.whole(1, 200_000))
    const rest = pour(filling, part)
    left = left.subarray(part.length - rest.length)
    await turn()
  }
  filling.end()
  t.ok((await reading).equals(bytes))
  t.equal(filling.pool.out, 0)
})

t.test('a client that is fast gets large buffers, one that is slow does not', async t => {
  const fast = make(t)
  pour(fast, Buffer.alloc(3 * smallSize))
  const sizes = new Set<number>()
  fast.end()
  for (let filled = await fast.next(); filled !== undefined; filled = await fast.next()) sizes.add(filled.buffer.length)
  t.strictSame([...sizes], [smallSize, largeSize])
})

t.test('a body may have so many buffers out; each that comes back makes room', async t => {
  const filling = make(t)
  const left = pour(filling, Buffer.alloc(16 * 1024 * 1024))
  t.ok(left.length > 0)
  t.equal(filling.room(), undefined)
  t.equal(filling.pool.out, 8)
  const first = await filling.next()
  t.equal(filling.room(), undefined, 'it was not given back yet')
  t.equal(filling.told.times, 0)
  first?.release()
  t.equal(filling.told.times, 1)
  t.not(filling.room(), undefined)
  t.equal(filling.pool.out, 8)
  first?.release()
  t.equal(filling.pool.out, 8, 'it is given back once')
})

t.test('buffers may come back in any order', async t => {
  const filling = make(t)
  pour(filling, Buffer.alloc(16 * 1024 * 1024))
  const held: Filled[] = []
  for (let count = 0; count < 8; count++) {
    const filled = await filling.next()
    if (filled !== undefined) held.push(filled)
  }
  for (const filled of held.toReversed()) filled.release()
  t.not(filling.room(), undefined)
  t.equal(filling.pool.out, 1)
  filling.stop()
  t.equal(filling.pool.out, 0)
})

t.test('when the pool has no more, each body still has one buffer, and gets on', async t => {
  const pool = createBufferPool()
  const taken: Uint8Array<SharedArrayBuffer>[] = []
  for (let next = pool.take('small', { must: false }); next !== undefined; next = pool.take('small', { must: false }))
    taken.push(next)
  for (let next = pool.take('large', { must: false }); next !== undefined; next = pool.take('large', { must: false }))
    taken.push(next)
  const before = pool.out
  const filling = make(t, pool)
  t.equal(pool.out, before + 1)
  const bytes = random.bytes(1024 * 1024)
  let left = bytes
  const parts: Buffer[] = []
  while (left.length > 0) {
    left = pour(filling, left)
    t.ok(pool.out <= before + 1, 'it has one and no more')
    if (left.length === 0) filling.end()
    const filled = await filling.next()
    if (filled === undefined) break
    parts.push(Buffer.from(bytesOf(filled)))
    filled.release()
  }
  for (let filled = await filling.next(); filled !== undefined; filled = await filling.next()) {
    parts.push(Buffer.from(bytesOf(filled)))
    filled.release()
  }
  t.ok(Buffer.concat(parts).equals(bytes))
  t.equal(pool.out, before)
})

t.test('what the coding puts between is left out; tiny pieces are made one', async t => {
  const filling = make(t)
  const room = filling.room()
  room?.set(Buffer.from('1\r\na\r\n1\r\nb\r\n2\r\ncd\r\n'))
  filling.advance(19, [3, 1, 9, 1, 15, 2])
  const next = filling.room()
  next?.set(Buffer.from('1\r\ne\r\n0\r\n\r\n'))
  filling.advance(11, [3, 1])
  filling.end()
  const filled = await filling.next()
  t.equal(filled === undefined ? '' : bytesOf(filled).toString(), 'abcde')
  t.strictSame(filled?.pieces, [3, 5])
})

t.test('large pieces stay where they are', async t => {
  const filling = make(t)
  filling.room()?.fill(1)
  filling.advance(30_000, [10, 10_000, 10_020, 5_000, 15_030, 10, 15_100, 14_900])
  filling.end()
  const filled = await filling.next()
  t.strictSame(filled?.pieces, [10, 10_000, 10_020, 5_010, 15_100, 14_900])
  t.equal(filled?.length, 29_910)
})

t.test('a buffer full of nothing but coding is used again', async t => {
  const filling = make(t)
  for (let count = 0; count < 20; count++) filling.advance(filling.room()?.length ?? 0, [])
  t.equal(filling.pool.out, 1)
  pour(filling, Buffer.from('x'))
  filling.end()
  t.match(await filling.next(), { length: 1, last: true })
})

t.test('a body that breaks off gives what came before, and then the error', async t => {
  const filling = make(t)
  pour(filling, Buffer.alloc(2 * smallSize))
  const error = new BodyBroken('it broke')
  filling.fail(error)
  let length = 0
  await t.rejects(async () => {
    for (let filled = await filling.next(); filled !== undefined; filled = await filling.next()) {
      t.equal(filled.last, false, 'none of it is the last')
      length += filled.length
      filled.release()
    }
  }, error)
  t.equal(length, 2 * smallSize)
  await t.rejects(filling.next(), error, 'and again')
  t.equal(filling.pool.out, 0)
})

t.test('whoever waits learns of it when it breaks off', async t => {
  const filling = make(t)
  const next = filling.next()
  filling.fail(new BodyBroken('it broke'))
  await t.rejects(next, { message: 'it broke' })
})

t.test('what ended stays ended', async t => {
  const filling = make(t)
  filling.end()
  filling.fail(new BodyBroken('too late'))
  t.equal(await filling.next(), undefined)
  t.equal(filling.room(), undefined)
  t.equal(filling.over, true)
})

t.test('to stop gives back everything but what was handed over', async t => {
  const filling = make(t)
  pour(filling, Buffer.alloc(4 * smallSize))
  const first = await filling.next()
  t.ok(filling.pool.out > 2)
  filling.stop()
  t.equal(filling.pool.out, 1)
  t.equal(filling.room(), undefined)
  await t.rejects(filling.next(), BodyBroken)
  first?.release()
  t.equal(filling.pool.out, 0)
  t.equal(filling.told.times, 0, 'nobody is told of room that is of no use')
  filling.stop()
})

t.test('what was stopped is not taken for the whole, though all had come', async t => {
  const filling = make(t)
  pour(filling, Buffer.alloc(4 * smallSize))
  filling.end()
  ;(await filling.next())?.release()
  filling.stop()
  await t.rejects(filling.next(), BodyBroken)
  t.equal(filling.pool.out, 0)
})

t.test('whoever waits when it is stopped gets an error', async t => {
  const filling = make(t)
  const next = filling.next()
  filling.stop()
  await t.rejects(next, BodyBroken)
})

t.test('what a client that falls silent has sent is handed over as a copy, and it goes on', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const filling = make(t)
  const room = filling.room()
  pour(filling, Buffer.from('hello'))
  const next = filling.next()
  mock.timers.tick(1_000)
  const filled = await next
  t.match(filled, { length: 5, last: false })
  t.equal(filled === undefined ? '' : bytesOf(filled).toString(), 'hello')
  t.not(filled?.buffer, room, 'the system may be reading into the buffer itself')
  t.equal(filling.room(), room)
  mock.timers.tick(5_000)
  t.equal(filling.pool.out, 2, 'nothing is no news')
  pour(filling, Buffer.from(' again'))
  t.equal(filled === undefined ? '' : bytesOf(filled).toString(), 'hello')
  filling.end()
  const rest = await filling.next()
  t.equal(rest === undefined ? '' : bytesOf(rest).toString(), ' again')
  filled?.release()
  rest?.release()
  t.equal(filling.pool.out, 0)
})

t.test('a body that goes on is not disturbed by the look for silence', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const filling = make(t)
  pour(filling, Buffer.alloc(smallSize))
  pour(filling, Buffer.from('x'))
  mock.timers.tick(1_000)
  t.equal(filling.pool.out, 2, 'one is handed over, one is being filled')
})
