import { mock } from 'node:test'
import t from 'tap'
import { type BufferPool, createBufferPool, largeSize, smallSize } from '../../server/bytes/buffers.ts'

function takeAll(pool: BufferPool, size: 'small' | 'large'): Uint8Array<SharedArrayBuffer>[] {
  const taken: Uint8Array<SharedArrayBuffer>[] = []
  for (let next = pool.take(size, { must: false }); next !== undefined; next = pool.take(size, { must: false }))
    taken.push(next)
  return taken
}

t.test('buffers are shared between threads, of the size that was asked for, and each is given out once', async t => {
  const pool = createBufferPool()
  const small = pool.take('small', { must: false })
  const other = pool.take('small', { must: false })
  const large = pool.take('large', { must: false })
  t.equal(small?.length, smallSize)
  t.equal(large?.length, largeSize)
  t.ok(small?.buffer instanceof SharedArrayBuffer)
  t.not(small?.buffer, other?.buffer)
  t.equal(pool.out, 3)
})

t.test('a buffer that was given back is given out again', async t => {
  const pool = createBufferPool()
  const first = pool.take('large', { must: false })
  if (first === undefined) throw new Error('there is one')
  pool.give(first)
  t.equal(pool.out, 0)
  t.equal(pool.take('large', { must: false }), first)
})

t.test('there is an end to them; whoever has none gets a small one all the same', async t => {
  const pool = createBufferPool()
  const taken = takeAll(pool, 'large')
  t.equal(taken.filter(({ length }) => length === largeSize).length, 96)
  t.equal(taken.filter(({ length }) => length === smallSize).length, 256, 'small ones when the large are out')
  t.equal(pool.take('small', { must: false }), undefined)
  const more = [pool.take('large', { must: true }), pool.take('small', { must: true })]
  t.strictSame(
    more.map(buffer => buffer?.length),
    [smallSize, smallSize],
  )
  t.equal(pool.out, 354)
  for (const buffer of [...taken, ...more]) if (buffer !== undefined) pool.give(buffer)
  t.equal(pool.out, 0)
  t.equal(takeAll(pool, 'small').length, 256, 'those beyond the limit did not make it larger')
})

t.test('buffers that no one wants for a while are given back to the system', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const pool = createBufferPool()
  const first = pool.take('small', { must: false })
  if (first === undefined) throw new Error('there is one')
  pool.give(first)
  mock.timers.tick(9_000)
  t.equal(pool.take('small', { must: false }), first)
  pool.give(first)
  mock.timers.tick(11_000)
  t.not(pool.take('small', { must: false }), first)
})
