import { setTimeout as sleep } from 'node:timers/promises'
import type { StorageDriver } from '../../../storage-drivers/driver.ts'
import { closing, get } from '../contract.ts'
import { type AddTest, type Scene, store } from './back-end.ts'

/** How long a server is away that is started again. */
const awayMs = 3000
const cutUploads = 50
const cutAtOnce = 4
/** What connections to this machine hold beside what the driver does: the system's buffers on both sides of the network. */
const buffersOfSystem = 20 * 1024 * 1024

/** Uploads, when parts and commits fail. */
export function addUploads(add: AddTest): void {
  add('an upload outlives a network that is away for three seconds', async (t, scene) => {
    const { network, driver } = scene
    const bytes = slowBytes(scene)
    const [key] = await Promise.all([
      store(driver, bytes),
      (async () => {
        await network.whenPassed('up', bytes.length / 3)
        await network.refuse()
        await sleep(awayMs)
        await network.mend()
      })(),
    ])
    t.ok(await isStored(driver, key, bytes))
  })

  add(`${cutUploads} uploads whose connections are cut at random have right bytes`, async (t, scene) => {
    const { network, driver, chunkSize, random } = scene
    const wrong: string[] = []
    const source = random.bytes(Math.ceil(chunkSize * 2.3))
    let left = cutUploads
    async function cutAll(): Promise<void> {
      while (left-- > 0) {
        const bytes = source.subarray(0, random.whole(1, source.length))
        const direction = random.chance(0.8) ? 'up' : 'down'
        const at = direction === 'up' ? random.whole(0, bytes.length * cutAtOnce) : random.whole(0, 1000)
        network.cutAfter(direction, at)
        try {
          if (!(await isStored(driver, await store(driver, bytes), bytes))) wrong.push(`${bytes.length} other bytes`)
        } catch (error) {
          wrong.push(`${bytes.length} bytes: ${String(error)}`)
        }
      }
    }
    await Promise.all(Array.from({ length: cutAtOnce }, cutAll))
    t.same(wrong, [])
  })

  for (const readBody of [true, false]) {
    const how = readBody ? 'after' : 'before'
    add(`goes on when parts are answered with 503, 503, 429 and 500 ${how} their bytes are read`, async (t, scene) => {
      const { network, driver, heads, chunkSize, random } = scene
      const bytes = random.bytes(Math.ceil(chunkSize * 3.5))
      const answers = [503, 503, 429, 500].map(status =>
        network.answer({ when: heads.part, times: 1, status, readBody, headers: { 'content-type': 'text/plain' } }),
      )
      t.ok(await isStored(driver, await store(driver, bytes), bytes))
      t.same(
        answers.map(({ met }) => met),
        [1, 1, 1, 1],
        'each was answered so once',
      )
    })
  }

  add('goes on when any other request is answered with 503 once', async (t, { network, driver, random }) => {
    const bytes = random.bytes(1000)
    const busy = () => network.answer({ when: /./, times: 1, status: 503 })
    const met = [busy()]
    const key = await store(driver, bytes)
    for (const ask of [
      async () => t.equal(await driver.size(key), 1000),
      async () => t.ok(await isStored(driver, key, bytes)),
      async () => driver.delete([key]),
      async () => t.equal(await driver.size(key), undefined),
    ]) {
      met.push(busy())
      await ask()
    }
    t.ok(met.every(rule => rule.met === 1))
  })

  add('fails when a part is refused for good, closes, and goes on from what was saved', async (t, scene) => {
    const { network, driver, heads, refusal, chunkSize, random } = scene
    const bytes = random.bytes(chunkSize * 4)
    const half = bytes.length / 2
    const session = await driver.createUpload()
    await session.write([bytes.subarray(0, half)])
    const state = await session.save()
    network.answer({ when: heads.part, ...refusal })
    await t.rejects(async () => {
      await session.write([bytes.subarray(half)])
      await session.commit('blobs/refused')
    })
    await t.rejects(session.commit('blobs/refused'), 'and again: nothing that lacks a part is made')
    await t.resolves(session.close())
    await network.mend()
    await using resumed = closing(await driver.resumeUpload(state))
    t.equal(resumed.length, half)
    await resumed.write([bytes.subarray(half)])
    t.ok(await isStored(driver, await resumed.commit('blobs/resumed'), bytes))
  })

  add('commits what the server made of a commit whose answer was lost', async (t, scene) => {
    const { network, driver, heads, chunkSize, random } = scene
    const bytes = random.bytes(Math.ceil(chunkSize * 2.5))
    for (const times of [1, 2]) {
      const lost = network.loseAnswers({ when: heads.commit, times })
      t.ok(await isStored(driver, await store(driver, bytes), bytes), `${times} times`)
      t.equal(lost.met, times)
    }
    // An object of one piece, a part and a beginning.
    for (const [size, when] of [
      [1000, /^PUT /],
      [bytes.length, heads.part],
      [bytes.length, /^(?:POST|PUT) /],
    ] as const) {
      const lost = network.loseAnswers({ when, times: 1 })
      const some = bytes.subarray(0, size)
      t.ok(await isStored(driver, await store(driver, some), some), `${size} bytes, ${when.source}`)
      t.equal(lost.met, 1)
    }
  })

  add('says what is wrong while its credentials are refused, and goes on when they are not', async (t, scene) => {
    const { network, driver, refusal, tokens, chunkSize, random } = scene
    const bytes = random.bytes(Math.ceil(chunkSize * 1.5))
    const key = await store(driver, bytes)
    const session = closing(await driver.createUpload())
    await session.write([bytes])
    const state = await session.save()
    await session.close()

    network.answer({ when: /./, ...refusal })
    const requests: Record<string, () => Promise<unknown>> = {
      upload: () => store(driver, bytes),
      read: () => get(driver, key, bytes.length),
      size: () => driver.size(key),
      delete: () => driver.delete([key]),
      check: () => driver.check(),
      resume: async () => {
        await using resumed = closing(await driver.resumeUpload(state))
        await resumed.commit('blobs/refused')
      },
    }
    for (const [what, ask] of Object.entries(requests)) {
      const began = performance.now()
      await t.rejects(ask(), what)
      t.ok(performance.now() - began < 5000, `${what} does not go on asking`)
    }
    await network.mend()
    t.ok(await isStored(driver, key, bytes), 'the object is there')
    await using resumed = closing(await driver.resumeUpload(state))
    t.ok(await isStored(driver, await resumed.commit('blobs/accepted'), bytes), 'and so is the upload')

    if (tokens) {
      const expired = network.answer({ when: /^PUT /, times: 1, status: 401 })
      t.ok(await isStored(driver, await store(driver, bytes), bytes), 'a token that has expired is got anew')
      t.equal(expired.met, 1)
    }
  })

  add('takes no more than it can send on a slow link, and has several parts on their way', async (t, scene) => {
    const { network, driver, chunkSize, random } = scene
    const bytes = random.bytes(chunkSize * 12)
    network.throttle('up', bytes.length / 4)
    network.delay(50)
    const from = network.passed.up
    let ahead = 0
    let most = 0
    await using session = closing(await driver.createUpload())
    for (let at = 0; at < bytes.length; at += 65_536) {
      await session.write([bytes.subarray(at, at + 65_536)])
      ahead = Math.max(ahead, at - (network.passed.up - from))
      most = Math.max(most, network.open)
    }
    const key = await session.commit('blobs/slow')
    t.comment(`${ahead} bytes ahead of the network at most, on ${most} connections`)
    t.ok(ahead < 6 * chunkSize + buffersOfSystem, 'a write waits for the network')
    t.ok(most > 1, 'more than one part was on its way')
    await network.mend()
    t.ok(await isStored(driver, key, bytes))
  })
}

/** To be the last: for half a minute after its crash a RADOS Gateway waits for itself where it makes buckets. */
export function addCrash(add: AddTest): void {
  add('an upload outlives a crash of the server, which is back after three seconds', async (t, scene) => {
    const { crash, network, driver } = scene
    if (crash === undefined) {
      t.pass('a crash of this server takes along what it has stored')
      return
    }
    const bytes = slowBytes(scene)
    const [key] = await Promise.all([
      store(driver, bytes),
      (async () => {
        await network.whenPassed('up', bytes.length / 3)
        const crashed = await crash()
        await sleep(awayMs)
        await crashed.restart()
      })(),
    ])
    t.ok(await isStored(driver, key, bytes))
  })
}

/** Bytes of several parts, on a link that takes two seconds for them. */
function slowBytes({ network, chunkSize, random }: Scene): Buffer {
  const bytes = random.bytes(chunkSize * 6 + 12_345)
  network.throttle('up', bytes.length / 2)
  return bytes
}

async function isStored(driver: StorageDriver, key: string, bytes: Buffer): Promise<boolean> {
  return (await driver.size(key)) === bytes.length && (await get(driver, key, bytes.length)).equals(bytes)
}
