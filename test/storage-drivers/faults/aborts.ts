import { once } from 'node:events'
import type { StorageDriver } from '../../../storage-drivers/driver.ts'
import type { Random } from '../../faults/random.ts'
import { get } from '../contract.ts'
import { openFiles, until } from '../open-files.ts'
import { type AddTest, type Scene, store } from './back-end.ts'
import { memoryInUse } from './memory.ts'

const tries = 1000
const atOnce = 8
const objectSize = 1_000_000
/** What memory may grow by: code that was compiled, buffers of the pool. A thousand streams or parts are far more. */
const mostGrown = 12 * 2 ** 20
/** The driver may keep buffers for so long in case that they are wanted again. */
const forgetsMs = 20_000

type Abort = (scene: Scene, key: string) => Promise<unknown>

/** Each way in which something is begun and comes to nothing. */
const aborts: Record<string, Abort> = {
  'an upload that nothing is written to': async ({ driver }) => (await driver.createUpload()).close(),
  'an upload that is closed with bytes that are no part yet': ({ driver, random }) =>
    written(driver, random.bytes(10_000)),
  'an upload that is closed while parts are on their way': async scene => {
    if (scene.random.chance(0.8)) return
    await written(scene.driver, Buffer.alloc(Math.ceil(scene.chunkSize * 1.2)))
  },
  'an upload whose parts are refused': async ({ driver, network, heads, refusal, chunkSize, random }) => {
    if (random.chance(0.8)) return
    network.answer({ when: heads.part, times: 1, ...refusal, readBody: random.chance(0.5) })
    await written(driver, Buffer.alloc(chunkSize))
  },
  'a saved upload that is dropped': async ({ driver, random }) => {
    const session = await driver.createUpload()
    try {
      await session.write([random.bytes(5000)])
      await driver.dropUpload(await session.save())
    } finally {
      await session.close()
    }
  },
  'an upload that is gone on with after it was dropped': async ({ driver }) => {
    const session = await driver.createUpload()
    await session.write([Buffer.alloc(100)])
    const state = await session.save()
    await session.close()
    await driver.dropUpload(state)
    await driver.resumeUpload(state)
  },
  'a read that nobody reads': async ({ driver }, key) => (await whole(driver, key)).destroy(),
  'a read that is left after its first bytes': async ({ driver }, key) => {
    const body = await whole(driver, key)
    await once(body, 'readable')
    body.read()
    body.destroy()
  },
  'a read that is left with an error': async ({ driver }, key) => {
    const body = await whole(driver, key)
    body.on('error', () => {}).destroy(new Error('the client has gone'))
  },
  'a read that is cut, and then left': async ({ driver, network, random }, key) => {
    network.cutAfter('down', random.whole(0, objectSize))
    const body = await whole(driver, key)
    await once(body, 'readable')
    body.destroy()
  },
  'a read beyond the end': async ({ driver }, key) => {
    const body = await driver.read(key, { first: objectSize - 10, last: objectSize + 10 })
    await once(body.resume(), 'end')
  },
  'a read of what is not there': async ({ driver }) => driver.read('blobs/00/none', { first: 0, last: 9 }),
  'a read that is refused': async ({ driver, network, refusal }, key) => {
    network.answer({ when: /^GET /, times: 1, ...refusal })
    // Another may meet with that answer.
    ;(await whole(driver, key)).destroy()
  },
  'a size whose answer is lost': ({ driver, network }, key) => {
    network.loseAnswers({ when: /^HEAD /, times: 1 })
    return driver.size(key)
  },
}

/** What is begun and comes to nothing, a thousand times. */
export function addAborts(add: AddTest): void {
  add(`holds as little after ${tries} aborts of every kind as before`, async (t, { driver: _other, ...rest }) => {
    const { network, random } = rest
    const [connections, files] = [network.open, openFiles()?.length ?? 0]
    const driver = await rest.open()
    const key = await store(driver, random.bytes(objectSize))
    const memory = memoryInUse()
    t.comment(JSON.stringify(await abortOften({ ...rest, driver }, key)))

    const open = await until(
      () => network.open,
      open => open <= connections + atOnce * 2,
    )
    t.ok(open <= connections + atOnce * 2, `${open - connections} connections are kept for later`)
    const grown = await until(
      () => memoryInUse() - memory,
      grown => grown < mostGrown,
      forgetsMs,
    )
    t.comment(`${grown} bytes of memory more`)
    t.ok(grown < mostGrown, 'memory is given back')
    t.equal((await get(driver, key, objectSize)).length, objectSize, 'and it works')

    await driver[Symbol.asyncDispose]()
    const left = await until(
      () => [network.open - connections, (openFiles()?.length ?? 0) - files],
      ([open = 0, more = 0]) => open <= 0 && more <= 0,
    )
    t.ok(
      left.every(count => count <= 0),
      `${left.join(' connections and ')} files more when the driver has ended`,
    )
  })
}

/** @returns how often each kind of abort ended in which way */
async function abortOften(scene: Scene, key: string): Promise<Record<string, number>> {
  const kinds = Object.entries(aborts)
  const done: Record<string, number> = {}
  let left = tries
  async function go(random: Random): Promise<void> {
    while (left-- > 0) {
      const [name, abort] = random.pick(kinds)
      // How it ends is not the question here.
      const end = await abort(scene, key).then(
        () => 'ended',
        () => 'failed',
      )
      done[`${name}: ${end}`] = (done[`${name}: ${end}`] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, () => go(scene.random)))
  await scene.network.mend()
  return done
}

async function written(driver: StorageDriver, bytes: Buffer): Promise<void> {
  const session = await driver.createUpload()
  try {
    await session.write([bytes])
  } finally {
    await session.close()
  }
}

function whole(driver: StorageDriver, key: string) {
  return driver.read(key, { first: 0, last: objectSize - 1 })
}
