import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Body, BodyBroken, type Filled, piecesOf } from '../../../server/bytes/body.ts'
import { createRandom } from '../../faults/random.ts'
import { type Connection, open, until } from '../connection.ts'
import { type BodyServer, type BodyServerOptions, type Received, startBodyServer } from './body-server.ts'

/** What holds of a request's body, whichever way it comes. */

const mebibyte = 1024 * 1024
const random = createRandom(3)
const bytes = random.bytes(3 * mebibyte)
const put = (length: number, more = '') => `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${more}\r\n`
const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')

async function hashOf(body: Body): Promise<string> {
  const hash = createHash('sha256')
  for (let filled = await body.next(); filled !== undefined; filled = await body.next()) {
    for (const piece of piecesOf(filled)) hash.update(piece)
    filled.release()
  }
  return hash.digest('hex')
}

const answer = ({ response }: Received, text: string) =>
  void response.writeHead(200, { 'content-length': Buffer.byteLength(text) }).end(text)

async function answerWithHash(received: Received): Promise<void> {
  answer(received, await hashOf(received.body))
}

t.setTimeout(100_000)

for (const way of ['direct', 'ordinary'] as const) {
  /** What the handler does is the first thing that a test says. */
  async function start(
    t: Test,
    handle: BodyServerOptions['handle'],
    options: Partial<BodyServerOptions> = {},
  ): Promise<BodyServer & { open(): Promise<Connection>; ways: string[] }> {
    const ways: string[] = []
    const server = await startBodyServer(t, {
      ...options,
      wants: () => way === 'direct',
      async handle(received) {
        ways.push(received.direct ? 'direct' : 'ordinary')
        await handle(received).catch((error: unknown) => {
          t.fail(`the handler failed: ${String(error)}`)
          throw error
        })
      },
    })
    return {
      ...server,
      ways,
      async open() {
        const connection = await open(server.url)
        t.teardown(() => connection.close())
        return connection
      },
    }
  }

  t.test(`${way}: bodies on one connection, one after the other, arrive as they were sent`, async t => {
    const warnings: Error[] = []
    const note = (warning: Error) => void warnings.push(warning)
    process.on('warning', note)
    t.teardown(() => process.off('warning', note))
    const listeners = new Set<number>()
    const server = await start(t, async received => {
      await answerWithHash(received)
      const { socket } = received.request
      listeners.add(socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0))
    })
    const connection = await server.open()
    const hash = sha256(bytes.subarray(0, 5_000))
    for (let count = 0; count < 1_000; count++) {
      connection.send(Buffer.concat([Buffer.from(put(5_000)), bytes.subarray(0, 5_000)]))
      if ((await connection.answer()).body.toString() !== hash) t.fail(`body ${count} came otherwise`)
    }
    connection.send(put(bytes.length))
    connection.send(bytes)
    t.equal((await connection.answer()).body.toString(), sha256(bytes))
    t.strictSame(new Set(server.ways), new Set([way]))
    t.strictSame(warnings, [])
    t.ok(listeners.size <= 3, `listeners do not become more: ${[...listeners].join()}`)
    t.equal(server.pool.out, 0)
  })

  t.test(`${way}: a body that is asked for when its client is gone has broken off`, async t => {
    for (const leave of ['reset', 'close', 'server closes'] as const) {
      const gone = Promise.withResolvers<void>()
      const outcome = Promise.withResolvers<unknown>()
      const server = await start(t, async ({ request, response, body }) => {
        request.on('error', () => {})
        if (leave === 'server closes') request.socket.destroy()
        else await gone.promise
        await sleep(50)
        await hashOf(body).then(outcome.resolve, outcome.resolve)
        body.stop()
        response.destroy()
      })
      const connection = await server.open()
      connection.send(put(bytes.length))
      connection.send(bytes.subarray(0, 100_000))
      await until(() => server.ways.length === 1)
      if (leave === 'close') connection.socket.destroy()
      if (leave === 'reset' && connection.socket instanceof Socket) connection.socket.resetAndDestroy()
      gone.resolve()
      t.ok((await outcome.promise) instanceof BodyBroken, leave)
      await until(() => server.pool.out === 0)
    }
  })

  t.test(`${way}: of a body that breaks off what came before arrives`, async t => {
    for (const leave of ['destroy', 'end'] as const) {
      const got = Promise.withResolvers<{ received: Buffer; error: unknown }>()
      const server = await start(t, async ({ response, body }) => {
        const parts: Buffer[] = []
        try {
          for (let filled = await body.next(); filled !== undefined; filled = await body.next()) {
            parts.push(Buffer.concat(piecesOf(filled)))
            filled.release()
          }
          got.resolve({ received: Buffer.concat(parts), error: undefined })
        } catch (error) {
          got.resolve({ received: Buffer.concat(parts), error })
        }
        body.stop()
        response.destroy()
      })
      const connection = await server.open()
      connection.send(put(bytes.length))
      connection.send(bytes.subarray(0, 1_500_000))
      // Both ways a client that closes has sent all before.
      await until(() => connection.socket.writableLength === 0)
      connection.socket[leave]()
      const { received, error } = await got.promise
      t.ok(error instanceof BodyBroken)
      t.ok(received.equals(bytes.subarray(0, received.length)))
      t.equal(received.length, 1_500_000)
      t.equal(server.pool.out, 0)
    }
  })

  t.test(`${way}: a body that was stopped can not be read, and the connection goes on`, async t => {
    const server = await start(t, async received => {
      const { request, body, direct } = received
      if (request.method === 'GET') return answer(received, 'next')
      if (request.url === '/begun') (await body.next())?.release()
      body.stop()
      const error: unknown = await body.next().catch((error: unknown) => error)
      if (!direct) request.resume()
      return answer(received, String(error instanceof BodyBroken))
    })
    const connection = await server.open()
    for (const path of ['/', '/begun']) {
      connection.send(put(bytes.length).replace('/', path))
      connection.send(bytes)
      connection.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      t.equal((await connection.answer()).body.toString(), 'true')
      t.equal((await connection.answer()).body.toString(), 'next')
    }
    t.equal(server.pool.out, 0)
  })

  t.test(`${way}: a body that is asked for behind the answer takes nothing of the next request`, async t => {
    const late: unknown[] = []
    const server = await start(t, async received => {
      const { request, response, body, direct } = received
      if (request.method === 'GET') {
        answer(received, 'next')
        return
      }
      answer(received, 'first')
      if (!direct) request.resume()
      await once(response, 'close')
      await sleep(20)
      late.push(
        await body.next().then(
          filled => filled,
          (error: unknown) => error,
        ),
      )
      body.stop()
    })
    const connection = await server.open()
    connection.send(put(300_000))
    connection.send(bytes.subarray(0, 300_000))
    t.equal((await connection.answer()).body.toString(), 'first')
    for (let count = 0; count < 5; count++) {
      await sleep(10)
      connection.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      t.equal((await connection.answer()).body.toString(), 'next')
    }
    t.equal(late.length, 1)
    t.ok(late[0] === undefined || late[0] instanceof BodyBroken)
    t.equal(server.pool.out, 0)
  })

  t.test(`${way}: a reader that does not give back its buffers makes the client wait`, async t => {
    const held: Filled[] = []
    const go = Promise.withResolvers<void>()
    const size = 64 * mebibyte
    const server = await start(t, async received => {
      const { body } = received
      let length = 0
      const take = (filled: Filled) => {
        length += filled.length
        held.push(filled)
      }
      for (let count = 0; count < 8; count++) {
        const filled = await body.next()
        if (filled !== undefined) take(filled)
      }
      await go.promise
      for (const filled of held.splice(0)) filled.release()
      for (let filled = await body.next(); filled !== undefined; filled = await body.next()) {
        length += filled.length
        filled.release()
      }
      answer(received, String(length))
    })
    const connection = await server.open()
    connection.send(put(size))
    connection.send(Buffer.alloc(size))
    await until(() => held.length === 8)
    await sleep(300)
    const { socket } = connection
    const waiting = 'writableLength' in socket ? socket.writableLength : 0
    t.ok(waiting > 0, 'the client could not send it all')
    t.ok(server.pool.out <= 9)
    go.resolve()
    t.equal((await connection.answer()).body.toString(), String(size))
    t.equal(server.pool.out, 0)
  })

  t.test(`${way}: buffers that are given back when the connection is long gone are back`, async t => {
    const held: Filled[] = []
    const server = await start(t, async ({ response, body }) => {
      await t.rejects(async () => {
        for (let filled = await body.next(); filled !== undefined; filled = await body.next()) held.push(filled)
      }, BodyBroken)
      body.stop()
      response.destroy()
    })
    const connection = await server.open()
    connection.send(put(bytes.length))
    connection.send(bytes.subarray(0, 400_000))
    await until(() => held.length > 1)
    connection.close()
    await until(() => held.reduce((sum, { length }) => sum + length, 0) === 400_000)
    t.equal(server.pool.out, held.length)
    for (const filled of held) filled.release()
    t.equal(server.pool.out, 0)
  })

  t.test(`${way}: a client that falls silent has broken off; one whose reader is slow has not`, async t => {
    const slow = Promise.withResolvers<void>()
    const errors: unknown[] = []
    const server = await start(
      t,
      async received => {
        const { body, request } = received
        try {
          if (request.url === '/slow') {
            const held: Filled[] = []
            for (let count = 0; count < 8; count++) {
              const filled = await body.next()
              if (filled !== undefined) held.push(filled)
            }
            await slow.promise
            for (const filled of held) filled.release()
          }
          await hashOf(body)
          answer(received, 'whole')
        } catch (error) {
          errors.push(error)
          body.stop()
          answer(received, 'broken')
        }
      },
      { idleMs: 300 },
    )
    const patient = await server.open()
    patient.send(put(20 * mebibyte).replace('/', '/slow'))
    patient.send(Buffer.alloc(20 * mebibyte))
    const silent = await server.open()
    silent.send(put(bytes.length))
    silent.send(bytes.subarray(0, 300_000))
    t.equal((await silent.answer()).body.toString(), 'broken')
    t.match(errors, [/fell silent/])
    // The ordinary way leaves it to its caller to end the connection.
    if (way === 'direct') await silent.closed
    await sleep(500)
    slow.resolve()
    t.equal((await patient.answer()).body.toString(), 'whole')
    t.equal(server.pool.out, 0)
  })

  t.test(`${way}: a chunk that can't be understood ends the body, and the connection`, async t => {
    const server = await start(t, async received => {
      const error: unknown = await hashOf(received.body).catch((error: unknown) => error)
      received.body.stop()
      if (!received.response.destroyed) answer(received, String(error instanceof BodyBroken))
    })
    const connection = await server.open()
    connection.send('PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n')
    await turn()
    const { status, headers, body } = await connection.answer()
    if (way === 'direct') {
      t.equal(body.toString(), 'true')
      t.equal(headers['connection'], 'close')
    } else t.equal(status, 400)
    await connection.closed
    await until(() => server.pool.out === 0)
  })

  t.test(`${way}: with "Connection: close" the connection ends behind the answer`, async t => {
    const server = await start(t, answerWithHash)
    const connection = await server.open()
    connection.send(put(bytes.length, 'Connection: close\r\n'))
    connection.send(bytes)
    const { headers, body } = await connection.answer()
    t.equal(body.toString(), sha256(bytes))
    t.equal(headers['connection'], 'close')
    await connection.closed
  })

  t.test(`${way}: a server that closes takes the body to its end, answers, and ends the connection`, async t => {
    const begun = Promise.withResolvers<void>()
    const server = await start(t, async received => {
      const first = await received.body.next()
      begun.resolve()
      const hash = createHash('sha256')
      if (first !== undefined) for (const piece of piecesOf(first)) hash.update(piece)
      first?.release()
      for (let filled = await received.body.next(); filled !== undefined; filled = await received.body.next()) {
        for (const piece of piecesOf(filled)) hash.update(piece)
        filled.release()
      }
      answer(received, hash.digest('hex'))
    })
    const connection = await server.open()
    connection.send(put(bytes.length))
    connection.send(bytes.subarray(0, mebibyte))
    await begun.promise
    server.server.close()
    connection.send(bytes.subarray(mebibyte))
    t.equal((await connection.answer()).body.toString(), sha256(bytes))
    await connection.closed
    if (server.server.listening) await once(server.server, 'close')
  })
}
