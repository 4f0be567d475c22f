import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { createPartMemory, createPartWriter } from '../../storage-drivers/parts.ts'

const size = 1000

/** A back end whose parts are stored when the test says so. */
function setUp({ parallel = 4, chunkSize = size, memory = createPartMemory({ chunkSize, parallel }) } = {}) {
  const arrived: { number: number; bytes: Uint8Array; done: () => void; fail: (error: Error) => void }[] = []
  const writer = createPartWriter<{ number: number; bytes: Buffer }>({
    memory,
    before: { parts: [], bytes: 0 },
    send: (bytes, number) =>
      new Promise((resolve, reject) => {
        // Read as late as possible: until then nobody may change them.
        arrived.push({ number, bytes, done: () => resolve({ number, bytes: Buffer.from(bytes) }), fail: reject })
      }),
  })
  return { writer, arrived, memory }
}

/** Whether a promise is settled when everything that could happen has happened. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const note = () => void (settled = true)
  promise.then(note, note)
  for (let turn = 0; turn < 10; turn++) await setImmediate()
  return settled
}

void t.test('chunks become parts of one size, with their bytes in order, and a rest', async t => {
  const { writer, arrived } = setUp()
  const bytes = randomBytes(3 * size + 250)
  const writing = (async () => {
    for (let at = 0; at < bytes.length; at += 333) await writer.write([bytes.subarray(at, at + 333)])
  })()
  t.ok(await isSettled(writing))
  t.equal(writer.length, bytes.length)
  t.ok(Buffer.from(writer.rest).equals(bytes.subarray(3 * size)))
  for (const { done } of arrived.toReversed()) done()
  const parts = await writer.settled()
  t.same(
    parts.map(part => part.number),
    [1, 2, 3],
  )
  t.ok(Buffer.concat(parts.map(part => part.bytes)).equals(bytes.subarray(0, 3 * size)))
})

void t.test('who writes waits while as many parts as allowed are on their way', async t => {
  const { writer, arrived } = setUp({ parallel: 2 })
  const writing = writer.write([randomBytes(3 * size)])
  t.notOk(await isSettled(writing))
  t.equal(arrived.length, 2)
  arrived[0]?.done()
  t.ok(await isSettled(writing))
  t.equal(arrived.length, 3)
})

void t.test('all uploads together have a bounded number of bytes on their way', async t => {
  const chunkSize = 40 * 1024 * 1024
  const memory = createPartMemory({ chunkSize, parallel: 2 })
  const [one, other] = [setUp({ chunkSize, memory }), setUp({ chunkSize, memory })]
  const chunk = Buffer.alloc(chunkSize)
  t.ok(await isSettled(one.writer.write([chunk, chunk])))
  const waiting = other.writer.write([chunk])
  t.notOk(await isSettled(waiting))
  t.equal(other.arrived.length, 0)
  one.arrived[0]?.done()
  t.ok(await isSettled(waiting))
})

void t.test('tells what is stored without a gap', async t => {
  const { writer, arrived } = setUp()
  await writer.write([randomBytes(3 * size)])
  const stored = () => writer.stored().map(part => part.number)
  t.same(stored(), [])
  arrived[1]?.done()
  await setImmediate()
  t.same(stored(), [])
  arrived[0]?.done()
  await setImmediate()
  t.same(stored(), [1, 2])
})

void t.test('a part that fails fails what comes after it, and leaves nothing on its way', async t => {
  const { writer, arrived } = setUp()
  await writer.write([randomBytes(2 * size)])
  arrived[0]?.fail(new Error('no room'))
  await setImmediate()
  await t.rejects(writer.write([randomBytes(1)]), /no room/)
  await t.rejects(writer.flush(), /no room/)
  const closing = writer.close()
  t.notOk(await isSettled(closing), 'the other one is waited for')
  arrived[1]?.done()
  await closing
  await t.rejects(writer.settled(), /no room/)
})

void t.test('the memory of a part is not used again before it is stored', async t => {
  const { writer, arrived } = setUp({ parallel: 3 })
  const bytes = randomBytes(30 * size)
  const writing = writer.write([bytes])
  for (let turn = 0; turn < 28; turn++) {
    await isSettled(writing)
    arrived[turn]?.done()
  }
  await writing
  for (const { done } of arrived) done()
  t.ok(Buffer.concat((await writer.settled()).map(part => part.bytes)).equals(bytes))
})

void t.test('goes on behind parts and bytes that were there before', async t => {
  const memory = createPartMemory({ chunkSize: size, parallel: 4 })
  const writer = createPartWriter<string>({
    memory,
    before: { parts: ['first'], bytes: size, rest: Buffer.from('rest') },
    sizeOf: number => number * 10,
    send: async (bytes, number) => `${number}: ${Buffer.from(bytes).toString()}`,
  })
  t.equal(writer.length, size + 4)
  await writer.write([Buffer.from('x'.repeat(18))])
  await writer.flush()
  t.same(await writer.settled(), ['first', `2: rest${'x'.repeat(16)}`, '3: xx'])
})

void t.test(
  'uploads together hold no more whole parts than there is memory for, while some are on their way',
  async t => {
    const chunkSize = 20 * 1024 * 1024
    const memory = createPartMemory({ chunkSize, parallel: 4 })
    const busy = setUp({ chunkSize, memory })
    const chunk = Buffer.alloc(chunkSize)
    t.ok(await isSettled(busy.writer.write([chunk, chunk, chunk, chunk])), '80 MiB are on their way')
    const others = Array.from({ length: 3 }, () => setUp({ chunkSize, memory }))
    const writing = others.map(({ writer }) => writer.write([chunk.subarray(0, chunkSize - 1)]))
    const settled = async () => (await Promise.all(writing.map(isSettled))).filter(Boolean).length
    t.equal(await settled(), 0)
    busy.arrived[0]?.done()
    t.equal(await settled(), 1)
    for (const { done } of busy.arrived) done()
    t.equal(await settled(), 3)
    const late = setUp({ chunkSize, memory })
    const more = Array.from({ length: 6 }, () => late.writer.write([chunk.subarray(0, 1000)]))
    t.ok(await isSettled(Promise.all(more)), 'nobody waits for those who only gather')
    await Promise.all([busy, ...others, late].map(({ writer }) => writer.close()))
  },
)

void t.test('a rest that is more than a part by now becomes one', async t => {
  const memory = createPartMemory({ chunkSize: 10, parallel: 4 })
  const writer = createPartWriter<string>({
    memory,
    before: { parts: [], bytes: 0, rest: Buffer.from('twelve bytes') },
    send: async bytes => Buffer.from(bytes).toString(),
  })
  await writer.write([Buffer.from('x')])
  t.same(await writer.settled(), ['twelve bytes'])
  t.equal(writer.length, 13)
})
