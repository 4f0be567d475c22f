import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import type { SwiftOptions } from '../../storage-drivers/swift/options.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { get, put } from './contract.ts'
import { until } from './open-files.ts'
import { type Front, startFront } from './swift-front.ts'
import { serveSwift, v1Options } from './swift-servers.ts'

const mebibyte = 1024 * 1024

function logins({ seen }: Front): number {
  return seen.filter(({ path }) => path.startsWith('/auth/')).length
}

const swift = await serveSwift()
if (swift !== undefined) {
  const { username, password } = swift.tempAuth

  async function through(
    t: Test,
    options: Partial<SwiftOptions> = {},
  ): Promise<{ front: Front; driver: StorageDriver }> {
    const front = await startFront({ to: swift?.endpoint ?? '' })
    t.teardown(() => front[Symbol.asyncDispose]())
    const user = { authUrl: `${front.url}/auth/v1.0`, username, password }
    const container = `test-${randomUUID()}`
    const driver = await createSwiftDriver(v1Options(user, { container, chunkSize: mebibyte, ...options }))
    t.teardown(() => driver[Symbol.asyncDispose]())
    return { front, driver }
  }

  t.test('goes on when its token is refused in the middle of an upload, with one login for all requests', async t => {
    const { front, driver } = await through(t)
    const bytes = randomBytes(8 * mebibyte + 10)
    const session = await driver.createUpload()
    await session.write([bytes.subarray(0, 2 * mebibyte)])
    await session.save()
    t.equal(logins(front), 1)
    await swift.forgetTokens()
    await session.write([bytes.subarray(2 * mebibyte)])
    const key = await session.commit('blobs/token')
    await session.close()
    t.ok(front.seen.filter(({ status }) => status === 401).length > 1, 'several were refused')
    t.equal(logins(front), 2)
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
  })

  t.test('repeats what broke off', async t => {
    const { front, driver } = await through(t)
    const bytes = randomBytes(4 * mebibyte + 10)
    let broken = 0
    // The first time that each thing is asked for, in the middle of it.
    const asked = new Set<string>()
    front.intercept((request, response) => {
      const what = `${request.method} ${request.url}`
      if (asked.has(what)) return false
      asked.add(what)
      broken++
      request.once('data', () => response.destroy())
      request.once('end', () => response.destroy())
      return true
    })
    const key = await put(driver, 'blobs/broken', bytes)
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
    await driver.delete([key])
    t.equal(await driver.size(key), undefined)
    t.ok(broken > 8, `${broken} requests were broken`)
  })

  t.test('repeats what the server can not do at the moment, not before it wants to be asked', async t => {
    const { front, driver } = await through(t)
    for (const status of [408, 429, 498, 500, 502, 503, 504]) {
      let refused = 0
      front.intercept((request, response) => {
        if (refused > 0) return false
        refused++
        request.resume()
        response.writeHead(status, { 'retry-after': '1' }).end('not now')
        return true
      })
      const began = performance.now()
      t.equal(await driver.size('blobs/never'), undefined, String(status))
      t.equal(refused, 1)
      t.ok(performance.now() - began >= 1000, 'a second later')
    }
  })

  t.test('does not repeat what will not get better', async t => {
    const { front, driver } = await through(t)
    let asked = 0
    front.intercept((request, response) => {
      asked++
      request.resume()
      response.writeHead(409).end('no')
      return true
    })
    await t.rejects(driver.size('blobs/a'), /HEAD http.* was answered by 409/)
    t.equal(asked, 1)
  })

  t.test('goes on with a read that broke off', async t => {
    const { front, driver } = await through(t)
    const bytes = randomBytes(3 * mebibyte)
    const key = await put(driver, 'blobs/read', bytes)
    let left = 2
    front.intercept((request, response) => {
      if (request.method !== 'GET' || left === 0) return false
      left--
      const first = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1])
      response.writeHead(206, { 'content-length': bytes.length - first })
      response.write(bytes.subarray(first, first + 100_000), () => response.destroy())
      return true
    })
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
    t.equal(left, 0)
  })

  t.test('lets go of the request when nobody reads any more', async t => {
    const { front, driver } = await through(t)
    const key = await put(driver, 'blobs/long', randomBytes(10))
    const closed: Promise<unknown>[] = []
    front.intercept((request, response) => {
      if (request.method !== 'GET') return false
      response.writeHead(206, { 'content-length': 1_000_000 }).write('beginning')
      closed.push(once(response, 'close'))
      return true
    })
    const stream = await driver.read(key, { first: 0, last: 999_999 })
    stream.once('error', () => {})
    stream.read(1)
    stream.destroy()
    await t.resolves(Promise.all(closed))
    t.equal(closed.length, 1)
  })

  t.test('finds out from the body that a deletion of several has failed, and deletes one by one', async t => {
    const { front, driver } = await through(t)
    const keys = await Promise.all(['a', 'b', 'c'].map(name => put(driver, `blobs/${name}`, randomBytes(10))))
    let bulk = 0
    front.intercept((request: IncomingMessage, response: ServerResponse) => {
      if (!(request.url ?? '').includes('bulk-delete')) return false
      bulk++
      request.resume()
      const body = {
        'Response Status': '400 Bad Request',
        Errors: [['x', '503 Service Unavailable']],
        'Number Deleted': 0,
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      return true
    })
    await driver.delete(keys)
    t.equal(bulk, 1)
    for (const key of keys) t.equal(await driver.size(key), undefined)
  })

  t.test('an upload outlives a proxy that is not there for two seconds', async t => {
    const { front, driver } = await through(t)
    const bytes = randomBytes(3 * mebibyte)
    const end = performance.now() + 2000
    let refused = 0
    front.intercept((_request, response) => {
      if (performance.now() > end) return false
      refused++
      response.destroy()
      return true
    })
    const key = await put(driver, 'blobs/later', bytes)
    t.ok(refused > 3, `${refused} requests were refused`)
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
  })

  t.test('has no more segments on their way than it is told', async t => {
    const { front, driver } = await through(t, { parallel: 2 })
    let underWay = 0
    let most = 0
    const held: (() => void)[] = []
    front.intercept((request, response) => {
      if (!(request.url ?? '').includes('/segments/') || request.method !== 'PUT') return false
      most = Math.max(most, ++underWay)
      request.resume()
      held.push(() => {
        underWay--
        response.writeHead(201, { etag: 'x' }).end()
      })
      return true
    })
    const session = await driver.createUpload()
    const state = { written: false }
    const writing = session.write([randomBytes(5 * mebibyte)]).then(() => (state.written = true))
    await until(
      () => held.length,
      length => length === 2,
    )
    t.notOk(state.written, 'the write waits for them')
    while (!state.written) {
      held.shift()?.()
      await until(
        () => held.length > 0 || state.written,
        yes => yes,
      )
    }
    await writing
    for (const release of held) release()
    t.equal(most, 2)
    await session.close()
  })
}

t.test('goes on when Swift limits how often it may be asked', async t => {
  const limited = await serveSwift({
    rateLimit: { container_ratelimit_0: 10, max_sleep_time_seconds: 1, rate_buffer_seconds: 1 },
  })
  if (limited === undefined) return
  const front = await startFront({ to: limited.endpoint })
  t.teardown(() => front[Symbol.asyncDispose]())
  const user = { ...limited.tempAuth, authUrl: `${front.url}/auth/v1.0` }
  await using driver = await createSwiftDriver(v1Options(user, { container: `test-${randomUUID()}`, parallel: 8 }))
  // It counts the objects of a container before it limits it, and remembers for a second how many there were.
  const stored = new Map<string, Buffer>()
  const isLimited = await until(
    async () => {
      const bodies = Array.from({ length: 25 }, () => randomBytes(100))
      await Promise.all(bodies.map(async body => stored.set(await put(driver, 'blobs/x', body), body)))
      return front.seen.some(({ status }) => status === 498)
    },
    yes => yes,
    20_000,
  )
  t.ok(isLimited, 'it was told to wait')
  for (const [key, body] of stored) t.ok((await get(driver, key, 100)).equals(body))
})
