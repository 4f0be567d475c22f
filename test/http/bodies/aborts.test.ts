import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createHashThreads } from '../../../server/bytes/hash-threads.ts'
import { beginHash } from '../../../server/bytes/running-hash.ts'
import { receive } from '../../../server/registry/receive.ts'
import { createFilesystemDriver } from '../../../storage-drivers/filesystem/filesystem.ts'
import { createRandom, seedOf } from '../../faults/random.ts'
import { openFiles } from '../../storage-drivers/open-files.ts'
import { open, until } from '../connection.ts'
import { type Received, startBodyServer } from './body-server.ts'

const atOnce = 40
const size = 1024 * 1024

t.setTimeout(120_000)

for (const [way, aborts] of [
  ['direct', 10_000],
  ['ordinary', 4_000],
] as const) {
  t.test(`${way}: after ${aborts} clients that broke off in the middle everything is free again`, async t => {
    const seed = seedOf(t)
    const bytes = createRandom(seed).bytes(size)
    const root = t.testdir()
    const driver = await createFilesystemDriver({ rootdirectory: root })
    const threads = createHashThreads()
    const counts = { whole: 0, broken: 0, bytes: 0, underWay: 0 }

    /** As an upload does it. */
    async function store({ body, request, response }: Received): Promise<void> {
      const session = await driver.createUpload()
      try {
        const { failure, hash, bytes } = await receive(body, { session, offset: 0, hash: beginHash('sha256'), threads })
        counts.bytes += bytes
        counts[failure === undefined ? 'whole' : 'broken']++
        const text = (await hash?.digest()) ?? ''
        hash?.drop()
        if (failure === undefined) response.writeHead(200, { 'content-length': text.length }).end(text)
        else response.destroy()
        if (request.url === '/keep') return
        await driver.dropUpload(await session.save())
      } finally {
        await session.close()
      }
    }

    const errors: unknown[] = []
    const server = await startBodyServer(t, {
      wants: () => way === 'direct',
      errors,
      async handle(received) {
        received.request.on('error', () => {})
        counts.underWay++
        await store(received).finally(() => counts.underWay--)
      },
    })
    const port = Number(new URL(server.url).port)

    async function healthyPush(path: string): Promise<void> {
      const connection = await open(server.url)
      connection.send(`PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
      connection.send(bytes)
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      t.equal((await connection.answer()).body.toString(), digest, 'a healthy push works')
      connection.close()
    }

    /** Sends some of a body, and resets the connection or closes it. */
    async function abort(number: number): Promise<void> {
      const random = createRandom(seed + number)
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.on('error', () => {})
      const gone = new Promise(resolve => socket.once('close', resolve))
      const framing = random.chance(0.5) ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked'
      const chunk = framing.startsWith('T') ? `${size.toString(16)}\r\n` : ''
      socket.write(`PUT / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${chunk}`)
      const parts = random.whole(0, 3)
      for (let part = 0; part < parts; part++) {
        socket.write(bytes.subarray(0, random.chance(0.8) ? random.whole(1, 5_000) : random.whole(1, 300_000)))
        if (random.chance(0.5)) await turn()
      }
      if (random.chance(0.3)) await new Promise(resolve => socket.write('x', resolve))
      if (random.chance(0.5)) socket.resetAndDestroy()
      else socket.destroy()
      await gone
    }

    await healthyPush('/')
    await until(() => server.pool.out === 0 && counts.underWay === 0)
    // Two threads have begun by now or begin with the aborts; their descriptors stay.
    const hashes = await Promise.all([1, 2, 3, 4, 5, 6].map(() => threads.begin('sha256')))
    for (const hash of hashes) hash.drop()
    const before = openFiles()?.length
    const began = performance.now()
    let next = 0
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (next < aborts) await abort(next++)
      }),
    )
    await until(() => counts.underWay === 0, 20_000)
    t.comment(`${JSON.stringify(counts)} in ${((performance.now() - began) / 1000).toFixed(1)} s`)
    t.equal(server.pool.out, 0, 'all buffers are back')
    t.strictSame(threads.load, { jobs: 0, hashes: 0 }, 'no thread has anything to do')
    await until(() => (openFiles()?.length ?? 0) <= (before ?? 0))
    t.equal(openFiles()?.length, before, 'no more is open than before')
    t.strictSame(await readdir(join(root, 'uploads')), [], 'no upload is left')
    t.strictSame(errors, [])
    t.ok(counts.broken > aborts / 2 && counts.bytes > 0, 'they did come, and brought something')
    await healthyPush('/keep')
    t.equal((await readdir(join(root, 'uploads'))).length, 1)
  })
}
