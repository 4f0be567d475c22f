import { rm } from 'node:fs/promises'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { silentLog } from '../../server/lib/log.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../server/metadata/embedded/postgres.ts'
import { findPostmaster, findProcesses } from '../../server/metadata/embedded/processes.ts'
import { type Content, contentOf, image, imageType, layerType } from '../helpers/images.ts'
import { makeQuickFolder, urlOf } from '../helpers/postgres.ts'
import { type Program, startProgram } from '../helpers/processes.ts'
import { type Answer, type Client, createClient } from './client.ts'
import { codeIn, envelopeFault } from './envelope.ts'
import { endPostgres, makeDataFolder } from './folders.ts'
import { type Proxy, startProxy } from './proxy.ts'
import { createRandom, type Random, seedOf } from './random.ts'
import { kill } from './tree.ts'

/** Berth on a Postgres that is not its own, which goes away in several ways and comes back. */

const base = '/v2/away/app'
/** Berth is to be back so soon after its Postgres is. */
const backWithinMs = 5_000

interface Served {
  program: Program
  client: Client
  random: Random
  /** Everything that was acknowledged. */
  kept: Map<string, Buffer>
}

interface Setting extends Served {
  proxy: Proxy
  /** The Postgres: stopped in order, killed, frozen, started again. */
  postgres: Record<'stop' | 'start' | 'kill', () => Promise<void>> & { freeze: () => Promise<() => void> }
}

async function set(t: Test): Promise<Setting> {
  const random = createRandom(seedOf(t))
  const folder = await makeQuickFolder('berth-away-')
  // As Berth's own would be, with `postgres` below it.
  const place = join(folder, 'postgres')
  const cluster = join(place, 'cluster')
  const start = () => startEmbeddedPostgres({ folder: place, log: silentLog })
  let running: EmbeddedPostgres = await start()
  t.teardown(async () => {
    await running[Symbol.asyncDispose]()
    await endPostgres(folder)
    await rm(folder, { recursive: true, force: true })
  })
  const { user, password, database, host, port } = running.connection
  const proxy = await startProxy(t, join(String(host), `.s.PGSQL.${port}`))
  const url = urlOf({ user, password, database, host: '127.0.0.1', port: proxy.port })
  const program = await startProgram(t, { data: await makeDataFolder(t), env: { DB_URI: url } })
  const client = createClient(program.url)
  t.teardown(() => client.close())
  const postgres = {
    stop: async () => running[Symbol.asyncDispose](),
    start: async () => void (running = await start()),
    kill: () => killPostmaster(cluster),
    async freeze() {
      const pids = await findProcesses(cluster)
      for (const pid of pids) kill(pid, 'SIGSTOP')
      return () => pids.forEach(pid => kill(pid, 'SIGCONT'))
    },
  }
  return { program, client, random, proxy, postgres, kept: new Map() }
}

/** Kills the postmaster, and waits until there is another. */
async function killPostmaster(cluster: string): Promise<void> {
  const pid = await findPostmaster(cluster)
  if (pid === undefined) throw new Error('there is no Postgres to kill')
  kill(pid)
  for (;;) {
    const next = await findPostmaster(cluster)
    if (next !== undefined && next !== pid) return
    await sleep(10)
  }
}

async function pushImage({ client, random, kept }: Served, tag: string): Promise<void> {
  const made = image({ layers: [contentOf(random.bytes(50_000), layerType)] })
  for (const { digest, bytes } of made.blobs) {
    const { status } = await client.send('POST', `${base}/blobs/uploads/?digest=${digest}`, { body: bytes })
    if (status !== 201) throw new Error(`a blob was answered with ${status}`)
    kept.set(`${base}/blobs/${digest}`, bytes)
  }
  const { bytes } = made.manifest
  const headers = { 'content-type': imageType }
  const { status } = await client.send('PUT', `${base}/manifests/${tag}`, { headers, body: bytes })
  if (status !== 201) throw new Error(`a manifest was answered with ${status}`)
  kept.set(`${base}/manifests/${tag}`, bytes)
}

async function checkKept(t: Test, { client, kept }: Served): Promise<void> {
  const lost: string[] = []
  for (const [path, bytes] of kept) {
    const { status, body } = await client.send('GET', path)
    if (status !== 200 || !body.equals(bytes)) lost.push(`${path}: ${status}`)
  }
  t.strictSame(lost, [], `all of ${kept.size} things that were acknowledged are there`)
}

/** What must be said while there is no Postgres; how long the slowest took. */
async function checkAway(t: Test, { client, random, kept }: Served): Promise<void> {
  const blob = contentOf(random.bytes(1000), layerType)
  const [some = ''] = kept.keys()
  const requests: [string, string, Buffer?][] = [
    ['GET', some],
    ['HEAD', some],
    ['GET', `${base}/tags/list`],
    ['GET', '/v2/_catalog'],
    ['GET', `${base}/referrers/${blob.digest}`],
    ['POST', `${base}/blobs/uploads/`],
    ['POST', `${base}/blobs/uploads/?digest=${blob.digest}`, blob.bytes],
    ['PUT', `${base}/manifests/while-away`, kept.get(`${base}/manifests/first`) ?? Buffer.alloc(0)],
    ['DELETE', `${base}/manifests/first`],
    ['DELETE', `${base}/blobs/${blob.digest}`],
  ]
  const began = performance.now()
  await Promise.all(
    requests.map(async ([method, path, body]) => {
      const headers = { 'content-type': imageType }
      const answer = await client.send(method, path, { headers, body })
      checkUnavailable(t, `${method} ${path.slice(0, 40)}`, method, answer)
    }),
  )
  t.comment(`503 after ${Math.round(performance.now() - began)} ms at most`)
  t.equal((await client.send('GET', '/livez')).status, 200, 'the process lives')
  t.equal((await client.send('GET', '/readyz')).status, 503, 'and is not ready')
}

function checkUnavailable(t: Test, what: string, method: string, { status, headers, body }: Answer): void {
  t.equal(status, 503, `503 for ${what}`)
  t.match(headers['retry-after'], /^\d+$/, 'with Retry-After')
  if (method === 'HEAD') return
  t.equal(envelopeFault(status, headers, body), undefined, 'in the envelope')
  t.equal(codeIn(body.toString()), 'UNAVAILABLE')
}

/** How long it takes until a write is taken. */
async function timeBack({ client, program }: Served): Promise<number> {
  const began = performance.now()
  const { digest, bytes } = contentOf(Buffer.from('back'), layerType)
  for (;;) {
    const { status } = await client.send('POST', `${base}/blobs/uploads/?digest=${digest}`, { body: bytes })
    if (status === 201) return performance.now() - began
    if (performance.now() - began > 30_000) throw new Error(`still ${status}: ${program.stderr()}`)
    await sleep(20)
  }
}

interface Half {
  location: string
  layer: Content
}

async function sendHalf({ client, random }: Served): Promise<Half> {
  const layer = contentOf(random.bytes(400_000), layerType)
  const begun = await client.send('POST', `${base}/blobs/uploads/`)
  const location = String(begun.headers.location)
  const { status } = await client.send('PATCH', location, { body: layer.bytes.subarray(0, 200_000) })
  if (status !== 202) throw new Error(`a PATCH was answered with ${status}`)
  return { location, layer }
}

/** Goes on with an upload where it stands. */
async function sendRest(t: Test, { client, kept }: Served, { location, layer }: Half, least: number): Promise<void> {
  const began = performance.now()
  for (;;) {
    const { status, headers } = await client.send('GET', location)
    t.equal(status, 204)
    const last = Number(/^0-(\d+)$/.exec(String(headers.range))?.[1])
    const offset = last === 0 ? 0 : last + 1
    t.ok(offset >= least, `the upload stands at ${offset}, of which ${least} were acknowledged`)
    const end = await client.send('PUT', `${location}?digest=${layer.digest}`, {
      headers: { 'content-range': `${offset}-${layer.bytes.length - 1}` },
      body: layer.bytes.subarray(offset),
    })
    if (end.status === 201) break
    // A request that Postgres left in the lurch may hold it for a moment.
    if (end.status !== 409 || performance.now() - began > backWithinMs) {
      t.fail(`the upload does not go on: ${end.status} ${end.body.toString().slice(0, 300)}`)
      return
    }
    await sleep(100)
  }
  kept.set(`${base}/blobs/${layer.digest}`, layer.bytes)
}

/** A PATCH whose body comes in two parts, the second when it is told. */
function startSlowPatch({ program }: Served, { location, layer }: Half) {
  const body = layer.bytes.subarray(200_000)
  const { pathname } = new URL(location)
  const request = httpRequest(new URL(pathname, program.url), {
    method: 'PATCH',
    headers: { 'content-length': body.length },
    agent: false,
  })
  const answered = new Promise<number | undefined>((resolve, reject) => {
    request.once('error', reject)
    request.once('response', (response: IncomingMessage) => {
      response.resume()
      resolve(response.statusCode)
    })
  })
  request.write(body.subarray(0, 100_000))
  return {
    end: () => {
      request.end(body.subarray(100_000))
      return answered
    },
  }
}

t.setTimeout(120_000)

t.test('Postgres goes away and comes back, and Berth with it', async t => {
  const setting = await set(t)
  const { program, postgres, proxy, client } = setting
  await pushImage(setting, 'first')

  /** One way of going away: what is begun before it goes on afterwards. */
  async function outage(t: Test, ways: { away: () => Promise<unknown>; back: () => Promise<unknown>; ms?: number }) {
    const half = await sendHalf(setting)
    const slow = await sendHalf(setting)
    const patch = startSlowPatch(setting, slow)
    // Its first bytes are there, and it holds its upload.
    await sleep(100)
    await ways.away()
    await checkAway(t, setting)
    await sleep(ways.ms ?? 1000)
    await ways.back()
    const took = await timeBack(setting)
    t.comment(`back after ${Math.round(took)} ms`)
    t.ok(took < backWithinMs, 'it is back within seconds')
    t.equal(await patch.end(), 202, 'a PATCH that went on through all of it is taken')
    await sendRest(t, setting, slow, 400_000 - 1)
    await sendRest(t, setting, half, 200_000)
    await pushImage(setting, `after-${setting.kept.size}`)
    await checkKept(t, setting)
    t.equal((await client.send('GET', '/readyz')).status, 200)
  }

  await t.test('when it is stopped in order', t => outage(t, { away: postgres.stop, back: postgres.start }))

  await t.test('when the way to it is cut', t => outage(t, { away: () => proxy.cut(), back: () => proxy.mend() }))

  await t.test('when it is killed while requests are under way', async t => {
    const over = new AbortController()
    const statuses = new Map<number, number>()
    const readers = Array.from({ length: 8 }, async () => {
      while (!over.signal.aborted) {
        const answer = await client.send('GET', `${base}/manifests/first`)
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        if (answer.status === 503) await sleep(10)
      }
    })
    await sleep(200)
    for (let times = 0; times < 3; times++) {
      await postgres.kill()
      await timeBack(setting)
      await sleep(200)
    }
    over.abort()
    await Promise.all(readers)
    t.comment(`answers: ${JSON.stringify(Object.fromEntries(statuses))}`)
    t.strictSame(
      [...statuses.keys()].filter(status => status !== 200 && status !== 503),
      [],
    )
    await checkKept(t, setting)
  })

  await t.test('when it freezes for some seconds', async t => {
    const half = await sendHalf(setting)
    const thaw = await postgres.freeze()
    const asked = Array.from({ length: 20 }, () => client.send('GET', `${base}/manifests/first`))
    const began = performance.now()
    t.equal((await client.send('GET', '/livez')).status, 200)
    const first = await Promise.race(asked)
    t.comment(`the first of twenty is answered after ${Math.round(performance.now() - began)} ms with ${first.status}`)
    await sleep(1000)
    thaw()
    const statuses = (await Promise.all(asked)).map(answer => answer.status)
    t.strictSame(
      statuses.filter(status => status !== 200 && status !== 503),
      [],
    )
    t.ok((await timeBack(setting)) < backWithinMs)
    await sendRest(t, setting, half, 200_000)
    await checkKept(t, setting)
  })

  await t.test('when the network swallows all that is said', async t => {
    const half = await sendHalf(setting)
    proxy.swallow()
    const asked = client.send('GET', `${base}/manifests/first`)
    await sleep(2000)
    await proxy.mend()
    const took = await timeBack(setting)
    t.comment(`back after ${Math.round(took)} ms; who asked meanwhile got ${(await asked).status}`)
    t.ok(took < backWithinMs)
    await sendRest(t, setting, half, 200_000)
    await checkKept(t, setting)
  })

  t.equal(program.stderr(), '')
  t.match(await program.stop(), { code: 0 })
})

t.test('the Postgres that Berth brings along is started again, under the same requests', async t => {
  const data = await makeDataFolder(t)
  const program = await startProgram(t, { data })
  const client = createClient(program.url)
  t.teardown(() => client.close())
  const served = { program, client, random: createRandom(seedOf(t)), kept: new Map<string, Buffer>() }
  const cluster = join(data, 'postgres', 'cluster')
  await pushImage(served, 'first')
  for (const times of [1, 2, 3]) {
    const began = performance.now()
    await killPostmaster(cluster)
    await timeBack(served)
    const took = performance.now() - began
    t.comment(`kill ${times}: back after ${Math.round(took)} ms`)
    t.ok(took < backWithinMs)
    await checkKept(t, served)
  }
  t.match(await program.stop(), { code: 0 })
})
