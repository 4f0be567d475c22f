import { once } from 'node:events'
import { rm, truncate } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Answer } from '../../../conformance/http.ts'
import { blobKey } from '../../../server/registry/blob-keys.ts'
import { type Content, randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { openBelow, until } from '../../storage-drivers/open-files.ts'
import { block, has, pull, push, refusal } from './uploads-client.ts'

const size = 20_000_000
const registry = await startRegistry(t)
const large = randomBlob(size)
await push(registry, 'broken/a', large)

function urlOf({ digest }: Pick<Content, 'digest'>): string {
  return `${registry.url}/v2/broken/a/blobs/${digest}`
}

/** Begins to pull and does not read. */
async function startPull(headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const asked = request(urlOf(large), { agent: false, headers })
  asked.on('error', () => {})
  asked.end()
  const [response]: IncomingMessage[] = await once(asked, 'response')
  if (response === undefined) throw new Error('there is no response')
  response.on('error', () => {})
  return response
}

async function nothingIsOpen(t: Test): Promise<void> {
  const open = await until(
    () => openBelow(registry.root),
    files => files.length === 0,
  )
  t.same(open, [], 'no file stays open')
}

t.test('clients that go away in the middle leave nothing open', async t => {
  for (const headers of [{}, { range: 'bytes=1000-' }, { range: 'bytes=0-8999999,9000000-19999999' }]) {
    const responses = await Promise.all(Array.from({ length: 20 }, () => startPull(headers)))
    t.not(openBelow(registry.root).length, 0, 'the file is open')
    for (const response of responses) response.destroy()
    await nothingIsOpen(t)
  }
  t.ok(await has(registry, 'broken/a', large))
})

t.test('clients that go away after some megabytes leave nothing open', async t => {
  const pulls = Array.from({ length: 10 }, async () => {
    const response = await startPull()
    let length = 0
    for await (const chunk of response) {
      if (Buffer.isBuffer(chunk)) length += chunk.length
      if (length > 5_000_000) break
    }
    return length
  })
  t.ok((await Promise.all(pulls)).every(length => length > 5_000_000 && length < size))
  await nothingIsOpen(t)
})

t.test('clients that go away before they are answered leave nothing open', async t => {
  // Reading the rows waits for the one who has them all.
  const blockade = await block(t, registry, 'repository_blobs', 'access exclusive')
  const asked = Array.from({ length: 5 }, () => request(urlOf(large), { agent: false }))
  for (const one of asked) {
    one.on('error', () => {})
    one.end()
  }
  await blockade.reached()
  for (const one of asked) one.destroy()
  const connections = () =>
    new Promise<number>((resolve, reject) => {
      registry.app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
    })
  await until(connections, count => count === 0)
  await blockade.lift()
  t.ok(await has(registry, 'broken/a', large), 'all that waited was answered before')
  await nothingIsOpen(t)
})

t.test('a client that does not read holds up nobody, and costs no memory', async t => {
  const before = process.memoryUsage().arrayBuffers
  const responses = await Promise.all(Array.from({ length: 20 }, () => startPull()))
  t.ok(await has(registry, 'broken/a', large))
  const grown = process.memoryUsage().arrayBuffers - before
  t.ok(grown < 10 * size, `buffers grew by ${Math.round(grown / 1024 / 1024)} MiB for 400 MB of bodies`)
  for (const response of responses) response.destroy()
  await nothingIsOpen(t)
})

/** What becomes of a pull that can't succeed: the connection is cut, or there is time to say so. */
function outcome(answer: Promise<Answer>): Promise<string> {
  return answer.then(refusal, (error: NodeJS.ErrnoException) => error.code ?? error.message)
}

t.test('a blob whose file is too short is never passed as whole: the connection breaks', async t => {
  const cases = [
    [0, '500 UNKNOWN', '500 UNKNOWN'],
    [1, 'ECONNRESET', '500 UNKNOWN'],
    [300_000, 'ECONNRESET', 'ECONNRESET'],
    [2_999_999, 'ECONNRESET', 'ECONNRESET'],
  ] as const
  for (const [left, whole, range] of cases) {
    const content = randomBlob(3_000_000)
    await push(registry, 'broken/a', content)
    await truncate(join(registry.root, blobKey(content.digest)), left)
    const ask = (headers: Record<string, string>) => outcome(pull(registry, 'broken/a', content.digest, { headers }))
    t.equal(await ask({}), whole, `${left} of 3000000 bytes`)
    t.equal(await ask({ range: 'bytes=1-' }), range, 'a range of it')
    t.equal(await ask({ range: 'bytes=0-0,-1' }), 'ECONNRESET', 'parts of it')
    if (whole === 'ECONNRESET') await t.rejects(fetch(urlOf(content)).then(response => response.bytes()))
  }
  await nothingIsOpen(t)
})

t.test('a range that lies in the part that is left is given', async t => {
  const content = randomBlob(1_000_000)
  await push(registry, 'broken/a', content)
  await truncate(join(registry.root, blobKey(content.digest)), 500_000)
  const answer = await pull(registry, 'broken/a', content.digest, { headers: { range: 'bytes=0-499999' } })
  t.ok(answer.body.equals(content.bytes.subarray(0, 500_000)))
})

t.test('a blob whose file is cut while it is pulled breaks the connection', async t => {
  const content = randomBlob(size)
  await push(registry, 'broken/a', content)
  const asked = request(urlOf(content), { agent: false })
  asked.end()
  const [response]: IncomingMessage[] = await once(asked, 'response')
  const reading = (async () => {
    let length = 0
    for await (const chunk of response ?? []) {
      if (length === 0) await truncate(join(registry.root, blobKey(content.digest)), size / 2)
      if (Buffer.isBuffer(chunk)) length += chunk.length
    }
  })()
  await t.rejects(reading, { code: 'ECONNRESET' })
  await nothingIsOpen(t)
})

t.test('a blob whose file is gone is an error of the registry, and no answer with half of its headers', async t => {
  const content = randomBlob()
  await push(registry, 'broken/a', content)
  await rm(join(registry.root, blobKey(content.digest)))
  const answer = await pull(registry, 'broken/a', content.digest)
  t.equal(refusal(answer), '500 UNKNOWN')
  for (const name of ['etag', 'docker-content-digest', 'content-range', 'accept-ranges']) {
    t.equal(answer.headers[name], undefined, name)
  }
  t.equal(answer.headers['cache-control'], undefined, 'and nobody keeps it')
  await push(registry, 'broken/a', content)
  t.ok(await has(registry, 'broken/a', content), 'a push mends it')
})

t.test('many pulls of one blob at once are all whole', async t => {
  const content = randomBlob(2_000_000)
  await push(registry, 'broken/a', content)
  const found = await Promise.all(Array.from({ length: 50 }, () => has(registry, 'broken/a', content)))
  t.ok(found.every(Boolean))
  await nothingIsOpen(t)
})
