import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { ByteRange } from '../../storage-drivers/driver.ts'
import { readRange } from '../../storage-drivers/ranges.ts'

const object = Buffer.from('0123456789')

/** Streams that give so many bytes each, and then end or break. */
function source(lengths: number[], { breaks = false } = {}) {
  const asked: ByteRange[] = []
  const streams: Readable[] = []
  const open = async (range: ByteRange) => {
    asked.push(range)
    const bytes = object.subarray(range.first, Math.min(range.last + 1, range.first + (lengths.shift() ?? 0)))
    const stream = Readable.from(
      (async function* () {
        if (bytes.length > 0) yield bytes
        if (breaks) throw new Error('connection cut')
      })(),
      { objectMode: false },
    )
    streams.push(stream)
    return stream
  }
  return { asked, streams, open }
}

void t.test('a range comes whole from one source', async t => {
  const { asked, open } = source([10])
  t.equal((await buffer(readRange({ first: 2, last: 5 }, open))).toString(), '2345')
  t.same(asked, [{ first: 2, last: 5 }])
})

for (const breaks of [true, false])
  void t.test(`a source that ${breaks ? 'breaks' : 'ends'} early is followed by another`, async t => {
    const { asked, open } = source([3, 0, 4, 10], { breaks })
    t.equal((await buffer(readRange({ first: 0, last: 9 }, open))).toString(), '0123456789')
    t.same(
      asked.map(({ first }) => first),
      [0, 3, 3, 7],
    )
  })

void t.test('it fails when several in a row bring nothing', async t => {
  await t.rejects(buffer(readRange({ first: 0, last: 9 }, source([4]).open)), /ends at byte 4/)
  await t.rejects(buffer(readRange({ first: 0, last: 9 }, source([4], { breaks: true }).open)), /connection cut/)
})

void t.test('it fails when a source sends more than it was asked for', async t => {
  const range = readRange({ first: 0, last: 2 }, async () => Readable.from([object]))
  await t.rejects(buffer(range), /more of an object than/)
})

void t.test('whoever leaves it lets go of its source, read or not', async t => {
  const unread = source([10])
  const first = await unread.open({ first: 0, last: 9 })
  readRange({ first: 0, last: 9 }, unread.open, first).destroy()
  await setImmediate()
  t.ok(first.destroyed)
  const half = source([3, 10])
  for await (const _chunk of readRange({ first: 0, last: 9 }, half.open)) break
  await setImmediate()
  t.ok(half.streams.every(stream => stream.destroyed))
})
