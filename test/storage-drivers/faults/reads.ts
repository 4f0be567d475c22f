import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StorageDriver } from '../../../storage-drivers/driver.ts'
import { until } from '../open-files.ts'
import { type AddTest, store } from './back-end.ts'
import { memoryInUse } from './memory.ts'

const mebibyte = 2 ** 20
const cutReads = 40
const size = 4 * mebibyte
/** More than the system takes into its own buffers on the way. */
const largeSize = 64 * mebibyte

/** Reads, when they break off or stall, and when nobody takes what they bring. */
export function addReads(add: AddTest): void {
  add(`${cutReads} reads that are cut several times give exact bytes`, async (t, { network, driver, random }) => {
    const bytes = random.bytes(size)
    const key = await store(driver, bytes)
    const wrong: string[] = []
    for (let turn = 0; turn < cutReads; turn++) {
      const first = random.whole(0, size - 1)
      const last = random.whole(first, size - 1)
      const cuts = Array.from({ length: random.whole(1, 4) }, () => random.whole(0, (last - first) * 1.2))
      for (const at of cuts) network.cutAfter('down', at)
      const what = `${first}-${last}, cut after ${cuts.join()}`
      try {
        const found = await buffer(await driver.read(key, { first, last }))
        if (!found.equals(bytes.subarray(first, last + 1))) wrong.push(`${what}: ${found.length} other bytes`)
      } catch (error) {
        wrong.push(`${what}: ${String(error)}`)
      }
      await network.mend()
    }
    t.same(wrong, [])
  })

  add('a read that stalls goes on when the network does', async (t, { network, driver, random }) => {
    const bytes = random.bytes(size * 4)
    const key = await store(driver, bytes)
    network.throttle('down', bytes.length)
    const body = await driver.read(key, { first: 0, last: bytes.length - 1 })
    const [found] = await Promise.all([
      buffer(body),
      (async () => {
        await network.whenPassed('down', size)
        network.freeze()
        await sleep(1000)
        network.thaw()
      })(),
    ])
    t.ok(found.equals(bytes))
  })

  add('a read that nobody takes stops the server, and takes no memory', async (t, scene) => {
    const { network, driver } = scene
    const key = await storeLarge(driver)
    const memory = memoryInUse()
    const from = network.passed.down
    const body = await driver.read(key, { first: 0, last: largeSize - 1 })
    const taken = await take(body, mebibyte)
    // Until nothing more comes: what is on its way goes into the system's buffers.
    const came = await until(
      async () => {
        const before = network.passed.down
        await sleep(200)
        return network.passed.down === before
      },
      still => still,
    )
    t.ok(came, 'the server had to stop')
    const ahead = network.passed.down - from - taken
    const grown = memoryInUse() - memory
    t.comment(`${ahead} bytes beyond those that were taken came through; ${grown} bytes of memory more`)
    t.ok(ahead < largeSize / 2, 'most of it stays with the server')
    t.ok(grown < 8 * mebibyte, 'what came is in the buffers of the system')
    const rest = await length(body)
    t.equal(taken + rest, largeSize, 'and all of it comes when it is wanted')
  })

  add('a client that goes away in the middle of a read ends the request to the server at once', async (t, scene) => {
    const { network, driver } = scene
    const key = await storeLarge(driver)
    network.throttle('down', 8 * mebibyte)
    const before = network.open
    const bodies = await Promise.all(
      Array.from({ length: 8 }, () => driver.read(key, { first: 0, last: largeSize - 1 })),
    )
    await Promise.all(bodies.slice(0, 4).map(body => take(body, 65_536)))
    t.ok(network.open >= bodies.length, 'each has a connection')
    for (const body of bodies) body.destroy()
    const open = await until(
      () => network.open,
      open => open <= before,
      1000,
    )
    t.ok(open <= before, `${open} connections are open, ${before} were before`)
  })

  add('an upload is read again on a network that breaks off', async (t, { network, driver, chunkSize, random }) => {
    const bytes = random.bytes(chunkSize * 2 + 1000)
    const session = await driver.createUpload()
    await session.write([bytes])
    const state = await session.save()
    await session.close()
    for (const at of [0, 1000, chunkSize / 2, chunkSize]) network.cutAfter('down', at)
    t.ok((await buffer(await driver.readUpload(state))).equals(bytes))
  })
}

/** Stores an object that is larger than what the system buffers on the way. */
async function storeLarge(driver: StorageDriver): Promise<string> {
  return store(driver, Buffer.alloc(largeSize, 'large '))
}

/** Reads from a stream, and no further than it has to. @returns how many bytes it took */
async function take(body: Readable, least: number): Promise<number> {
  let taken = 0
  while (taken < least) {
    const chunk: unknown = body.read()
    if (Buffer.isBuffer(chunk)) taken += chunk.length
    else await once(body, 'readable')
  }
  return taken
}

async function length(body: Readable): Promise<number> {
  let length = 0
  for await (const chunk of body) length += Buffer.isBuffer(chunk) ? chunk.length : 0
  return length
}
