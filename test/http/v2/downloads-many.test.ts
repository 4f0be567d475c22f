import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { openBlobs, until } from '../../storage-drivers/open-files.ts'
import { has, push } from './uploads-client.ts'

const mebibyte = 2 ** 20
setFlagsFromString('--expose-gc')
const collectGarbage: unknown = runInNewContext('gc')

const registry = await startRegistry(t)
const large = randomBlob(32 * mebibyte)
const small = randomBlob(10_000)
await push(registry, 'many/a', large)
await push(registry, 'many/a', small)

/** Bytes in buffers of this process, which is the server's and its clients'. */
function inBuffers(): number {
  if (typeof collectGarbage === 'function') collectGarbage()
  return process.memoryUsage().arrayBuffers
}

// Of TCP the system would take four megabytes for each of a thousand clients, and reset other connections for want of room.
const path = join(t.testdir(), 'socket')
const local = createServer(socket => registry.app.server.emit('connection', socket))
local.listen(path)
await once(local, 'listening')
t.teardown(() => local.close())

/** Where the clients read to: what they were sent is of no interest. */
const sink = Buffer.alloc(1024)

interface Client {
  /** Resolves when something was sent. */
  begun: Promise<void>
  goAway: () => void
}

/** Asks for the large blob, and takes no more of it than the first bytes. */
async function startPull(): Promise<Client> {
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const callback = () => {
    resolve()
    return false
  }
  const socket = connect({ path, onread: { buffer: sink, callback } })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(`GET /v2/many/a/blobs/${large.digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
  return { begun, goAway: () => socket.destroy() }
}

/** One after the other: a socket of the file system takes few at once. */
async function startPulls(count: number): Promise<Client[]> {
  const clients: Client[] = []
  while (clients.length < count) clients.push(await startPull())
  return clients
}

t.test('a thousand clients that do not read hold one small buffer each, and hold up nobody', async t => {
  const before = inBuffers()
  const clients = await startPulls(1000)
  await Promise.all(clients.map(client => client.begun))
  const most = before + 85 * mebibyte
  const settled = await until(inBuffers, bytes => bytes < most, 20_000)
  t.ok(settled < most, `their buffers take ${Math.round((settled - before) / mebibyte)} MiB`)
  const times: number[] = []
  for (let turn = 0; turn < 50; turn++) {
    const from = performance.now()
    if (!(await has(registry, 'many/a', small))) throw new Error('the small blob is not what it was')
    times.push(performance.now() - from)
  }
  times.sort((one, other) => one - other)
  t.ok((times[25] ?? Infinity) < 100, `a small blob takes ${times[25]?.toFixed(1)} ms`)
  const open = openBlobs(registry.root).length
  t.ok(open < 100, `the file is open ${open} times, and not for each of them`)
  t.ok(await has(registry, 'many/a', large), 'one that reads gets all')
  for (const client of clients) client.goAway()
  t.same(
    await until(
      () => openBlobs(registry.root),
      files => files.length === 0,
    ),
    [],
  )
})

t.test('two thousand downloads that are broken off leave no file open, and no buffers', async t => {
  const before = inBuffers()
  for (let turn = 0; turn < 20; turn++) {
    const clients = await startPulls(100)
    // Some before anything was sent, some in the middle of it.
    if (turn % 4 !== 0) await Promise.all(clients.map(client => client.begun))
    for (const client of clients) client.goAway()
  }
  t.same(
    await until(
      () => openBlobs(registry.root),
      files => files.length === 0,
    ),
    [],
  )
  const most = before + 40 * mebibyte
  const left = await until(inBuffers, bytes => bytes < most)
  t.ok(left < most, `${Math.round((left - before) / mebibyte)} MiB are kept for the next`)
  t.ok(await has(registry, 'many/a', large))
})
