import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { until } from '../connection.ts'
import { startBodyServer } from './body-server.ts'

const mebibyte = 1024 * 1024

t.setTimeout(120_000)

/** How much more memory the process has than before, at most, while the work goes on. */
async function growthOf(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = before
  const look = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20)
  await work()
  clearInterval(look)
  return Math.max(most, process.memoryUsage.rss()) - before
}

async function send(socket: Socket, bytes: Buffer): Promise<void> {
  if (!socket.write(bytes)) await once(socket, 'drain')
}

// Node's parser makes objects of each chunk, which takes time and fills the heap before they are collected.
for (const [way, size, limit] of [
  ['direct', 20 * mebibyte, 100 * mebibyte],
  ['ordinary', mebibyte, 300 * mebibyte],
] as const) {
  t.test(`${way}: a body in chunks of one byte takes no more memory than another`, async t => {
    let length = 0
    let pieces = 0
    const { url, pool } = await startBodyServer(t, {
      wants: () => way === 'direct',
      async handle({ body, response }) {
        for (let filled = await body.next(); filled !== undefined; filled = await body.next()) {
          length += filled.length
          pieces = Math.max(pieces, filled.pieces.length)
          filled.release()
        }
        response.end('whole')
      },
    })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    const some = Buffer.from('1\r\nx\r\n'.repeat(16 * 1024))
    const growth = await growthOf(async () => {
      socket.write('PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (let sent = 0; sent < size; sent += some.length / 6) await send(socket, some)
      const answered = once(socket, 'data')
      socket.write('0\r\n\r\n')
      await answered
    })
    t.equal(length, size)
    t.ok(pieces <= 2 * 128, `${pieces / 2} pieces in a buffer`)
    t.ok(growth < limit, `${Math.round(growth / mebibyte)} MiB more`)
    t.equal(pool.out, 0)
  })

  t.test(`${way}: many slow uploads at once take little memory each`, async t => {
    const clients = 500
    let received = 0
    const { url, pool } = await startBodyServer(t, {
      wants: () => way === 'direct',
      async handle({ body, request }) {
        request.on('error', () => {})
        try {
          for (let filled = await body.next(); filled !== undefined; filled = await body.next()) {
            received += filled.length
            filled.release()
          }
        } catch {
          body.stop()
        }
      },
    })
    const sockets: Socket[] = []
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
    })
    const growth = await growthOf(async () => {
      for (let index = 0; index < clients; index++) {
        const socket = connect(Number(new URL(url).port), '127.0.0.1')
        socket.on('error', () => {})
        sockets.push(socket)
        await once(socket, 'connect')
        socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${mebibyte}\r\n\r\n`)
      }
      for (let round = 1; round <= 3; round++) {
        for (const socket of sockets) socket.write('some')
        await until(() => received === clients * 4 * round, 20_000)
      }
    })
    t.ok(growth < 120 * mebibyte, `${Math.round(growth / mebibyte)} MiB more`)
    t.comment(`${Math.round(growth / 1024 / clients)} KiB for each`)
    for (const socket of sockets) socket.destroy()
    await until(() => pool.out === 0)
  })

  t.test(`${way}: many fast uploads at once share what there is`, async t => {
    const clients = 150
    let full = 0
    let whole = 0
    const go = Promise.withResolvers<void>()
    const { url, pool } = await startBodyServer(t, {
      wants: () => way === 'direct',
      async handle({ body, response }) {
        const first = await body.next()
        full++
        await go.promise
        first?.release()
        for (let filled = await body.next(); filled !== undefined; filled = await body.next()) filled.release()
        whole++
        response.end('whole')
      },
    })
    const bytes = Buffer.alloc(6 * mebibyte)
    const sockets = Array.from({ length: clients }, () => connect(Number(new URL(url).port), '127.0.0.1'))
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
    })
    const growth = await growthOf(async () => {
      for (const socket of sockets) {
        socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes.length}\r\n\r\n`)
        socket.write(bytes)
      }
      await until(() => full === clients, 20_000)
      t.ok(pool.out <= 96 + 256 + clients, `${pool.out} buffers are out`)
      go.resolve()
      await until(() => whole === clients, 60_000)
    })
    t.comment(`${Math.round(growth / mebibyte)} MiB more`)
    t.equal(pool.out, 0)
  })
}
