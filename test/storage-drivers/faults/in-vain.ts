import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { StorageDriver } from '../../../storage-drivers/driver.ts'
import { get } from '../contract.ts'
import { until } from '../open-files.ts'
import { type BackEnd, store } from './back-end.ts'

/** Work that can't succeed any more. */
export interface InVain {
  /** Resolves when all of it has ended, and the network is mended. */
  ends(): Promise<{
    /** What ended otherwise than by an error in time, or is still held. */
    wrong: string[]
    /** How long each took. */
    times: string[]
  }>
}

/** The longest that any of it may take. */
const patienceMs = 100_000
/** More than what the system buffers on the way, so that a read which has begun is not over. */
const objectSize = 32 * 2 ** 20

/** Begins one of everything, and stops the network under it without a word. */
export async function beginOnFrozen({ network, open, chunkSize }: BackEnd): Promise<InVain> {
  const driver = await open()
  const key = await store(driver, Buffer.alloc(objectSize, 'stalls'))
  const body = await begunRead(driver, key)
  const [small, large] = [await driver.createUpload(), await driver.createUpload()]
  await small.write([Buffer.alloc(100)])
  network.freeze()
  return inVain(
    {
      'a read that has begun': () => buffer(body),
      'a read': () => get(driver, key, 10),
      'the size': () => driver.size(key),
      'a commit': () => small.commit('blobs/stalled'),
      'a write': async () => {
        for (let at = 0; at < 20; at++) await large.write([Buffer.alloc(chunkSize)])
      },
      'a check': () => driver.check(),
      'a deletion': () => driver.delete([key]),
    },
    async () => {
      await Promise.all([small.close(), large.close()])
      await driver[Symbol.asyncDispose]()
      network.thaw()
      const left = await until(
        () => network.open,
        open => open === 0,
      )
      return left === 0 ? [] : [`${left} connections are left`]
    },
  )
}

/** Begins a read, and cuts it and all that come after it. */
export async function beginOnCut({ network, open }: BackEnd): Promise<InVain> {
  const driver = await open()
  const key = await store(driver, Buffer.alloc(objectSize, 'is cut'))
  const body = await begunRead(driver, key)
  network.loseAnswers({ when: /^GET / })
  network.cutAfter('down', 0)
  let length = 0
  body.on('data', (chunk: Buffer) => (length += chunk.length))
  return inVain({ 'a read that is cut for ever': () => once(body.resume(), 'end') }, async () => {
    await network.mend()
    await driver[Symbol.asyncDispose]()
    return length < objectSize ? [] : ['the read had all its bytes: nothing was cut']
  })
}

function inVain(works: Record<string, () => Promise<unknown>>, letGo: () => Promise<string[]>): InVain {
  const began = performance.now()
  const [wrong, times]: [string[], string[]] = [[], []]
  const ends = Object.entries(works).map(async ([what, work]) => {
    const end = await Promise.race([
      work().then(
        () => 'succeeded',
        () => undefined,
      ),
      new Promise<string>(resolve => setTimeout(resolve, patienceMs, 'never ended').unref()),
    ])
    times.push(`${what}: ${Math.round((performance.now() - began) / 1000)} s`)
    if (end !== undefined) wrong.push(`${what} ${end}`)
  })
  return {
    async ends() {
      await Promise.all(ends)
      wrong.push(...(await letGo()))
      return { wrong, times }
    },
  }
}

/** A read of which something has come, and much has not. */
async function begunRead(driver: StorageDriver, key: string): Promise<Readable> {
  const body = await driver.read(key, { first: 0, last: objectSize - 1 })
  await once(body, 'readable')
  return body
}
