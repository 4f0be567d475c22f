import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { Body } from '../../../server/bytes/body.ts'
import { silentLog } from '../../../server/lib/log.ts'
import { directBodyOf } from '../../../server/http/bodies/direct-reads.ts'
import { directReadsWork } from '../../../server/http/bodies/direct-reads-check.ts'
import { type Connection, open, until } from '../connection.ts'
import { type BodyServer, type BodyServerOptions, type Received, startBodyServer } from './body-server.ts'

/** What is only of the direct way: which requests take it, and how the connection comes back. */

const mebibyte = 1024 * 1024

async function lengthOf(body: Body): Promise<number> {
  let length = 0
  for (let filled = await body.next(); filled !== undefined; filled = await body.next()) {
    length += filled.length
    filled.release()
  }
  return length
}

/** Answers with the way that the body came, and its length. */
async function describe({ request, response, body, direct }: Received): Promise<void> {
  if (request.url === '/refuse') body.stop()
  const length = request.url === '/refuse' ? 'refused' : await lengthOf(body).catch(String)
  body.stop()
  const text = `${direct ? 'direct' : 'ordinary'} ${length}`
  response.writeHead(200, { 'content-length': text.length }).end(text)
}

async function start(
  t: Test,
  options: Partial<BodyServerOptions> = {},
): Promise<BodyServer & { connection: Connection }> {
  const server = await startBodyServer(t, { handle: describe, ...options })
  const connection = await open(server.url)
  t.teardown(() => connection.close())
  return { ...server, connection }
}

const textOf = async (connection: Connection) => (await connection.answer()).body.toString()

t.test('this Node lets bodies be read directly', async t => {
  t.equal(await directReadsWork(silentLog), true)
})

const requests: [what: string, head: string, body: string, answer: string][] = [
  ['a length', 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n', 'hello', 'direct 5'],
  ['chunks', 'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n', '5\r\nhello\r\n0\r\n\r\n', 'direct 5'],
  [
    'trailers',
    'PUT / HTTP/1.1\r\nHost: a\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n',
    '5;x\r\nhello\r\n0\r\nA: b\r\n\r\n',
    'direct 5',
  ],
  ['no body', 'PUT / HTTP/1.1\r\nHost: a\r\n', '', 'ordinary 0'],
  ['an empty body', 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n', '', 'ordinary 0'],
  ['an empty body in chunks', 'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n', 'direct 0'],
  [
    'a wish for another protocol',
    'PUT / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 5\r\n',
    'hello',
    'ordinary 5',
  ],
  [
    'a wish for another protocol in chunks',
    'PUT / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n',
    '5\r\nhello\r\n0\r\n\r\n',
    'ordinary 5',
  ],
  ['HTTP/1.0', 'PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n', 'hello', 'ordinary 5'],
]

for (const [what, head, body, answer] of requests) {
  t.test(`a request with ${what} is answered, before others and behind others`, async t => {
    const { connection, pool } = await start(t)
    for (let count = 0; count < 3; count++) {
      connection.send(`${head}\r\n${body}`)
      t.equal(await textOf(connection), answer)
    }
    for (const byte of Buffer.from(`${head}\r\n${body}`)) connection.send(Buffer.of(byte))
    t.equal(await textOf(connection), answer)
    connection.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n')
    connection.send(Buffer.alloc(300_000))
    t.equal(await textOf(connection), 'direct 300000')
    connection.send(`${head}\r\n${body}`)
    t.equal(await textOf(connection), answer)
    t.equal(pool.out, 0)
  })
}

for (const [what, head] of [
  ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
  ['two lengths', 'Content-Length: 5\r\nContent-Length: 6'],
  ['a length that is none', 'Content-Length: 5x'],
  ['a negative length', 'Content-Length: -5'],
  ['chunks twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked, identity'],
] as const) {
  t.test(`a request with ${what} is refused by Node's parser`, async t => {
    const { connection } = await start(t)
    connection.send(`PUT / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`)
    t.equal((await connection.answer()).status, 400)
    await connection.closed
  })
}

t.test('a body whose answer waits behind another takes the ordinary way, and all are answered in order', async t => {
  const gate = Promise.withResolvers<void>()
  const { connection } = await start(t, {
    async handle(received) {
      if (received.request.url === '/slow') await gate.promise
      await describe(received)
    },
  })
  const put = 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'
  connection.send(`GET /slow HTTP/1.1\r\nHost: a\r\n\r\n${put}${put}`)
  gate.resolve()
  t.equal(await textOf(connection), 'ordinary 0')
  t.match(await textOf(connection), / 5$/)
  t.match(await textOf(connection), / 5$/)
  connection.send(put)
  t.equal(await textOf(connection), 'direct 5')
})

t.test('requests behind a large body are answered, with bodies and without', async t => {
  const { connection, pool } = await start(t)
  const tail =
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n' +
    'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' +
    'PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' +
    'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' +
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  connection.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${mebibyte}\r\n\r\n`)
  connection.send(Buffer.alloc(mebibyte))
  connection.send(tail)
  const answers = []
  for (let count = 0; count < 6; count++) answers.push((await textOf(connection)).replace('ordinary', 'direct'))
  t.strictSame(answers, [`direct ${mebibyte}`, 'direct 0', 'direct 3', 'direct refused', 'direct 3', 'direct 0'])
  t.equal(pool.out, 0)
})

t.test('a client that has closed its side gets its answer, and then the connection ends', async t => {
  const { connection, server } = await start(t)
  const accepted = once(server, 'request')
  connection.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${mebibyte}\r\n\r\n`)
  connection.socket.end(Buffer.alloc(mebibyte))
  const [request] = await accepted
  t.equal(await textOf(connection), `direct ${mebibyte}`)
  await connection.closed
  t.equal(request.socket.destroyed || request.socket.closed || request.socket.writableEnded, true)
})

t.test('of a body that nobody wants the rest is read away behind the answer', async t => {
  const { connection, pool } = await start(t)
  for (let count = 0; count < 5; count++) {
    connection.send(`PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: ${8 * mebibyte}\r\n\r\n`)
    t.equal(await textOf(connection), 'direct refused')
    connection.send(Buffer.alloc(8 * mebibyte))
  }
  connection.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  t.equal(await textOf(connection), 'ordinary 0')
  t.equal(pool.out, 0)
})

t.test('when the rest is too much, or too slow, the connection ends', async t => {
  for (const leftOver of [
    { bytes: mebibyte, ms: 10_000 },
    { bytes: 64 * mebibyte, ms: 100 },
  ]) {
    const { connection } = await start(t, { leftOver })
    connection.send(`PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: ${80 * mebibyte}\r\n\r\n`)
    t.equal(await textOf(connection), 'direct refused')
    connection.send(Buffer.alloc(2 * mebibyte))
    await connection.closed
  }
})

t.test('a client that says all before it listens sees the refusal, though the connection is to be closed', async t => {
  const { url } = await start(t)
  for (let count = 0; count < 20; count++) {
    const connection = await open(url)
    const big = Buffer.alloc(16 * mebibyte)
    connection.socket.pause()
    connection.send(`PUT /refuse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${big.length}\r\n\r\n`)
    connection.send(big)
    await until(() => connection.socket.writableLength === 0 || connection.socket.destroyed)
    connection.socket.resume()
    t.equal(await textOf(connection), 'direct refused')
    await connection.closed
    connection.close()
  }
})

t.test('"Expect: 100-continue" is answered when the body is first read', async t => {
  const gate = Promise.withResolvers<void>()
  const { connection } = await start(t, {
    async handle(received) {
      if (received.request.url === '/') await gate.promise
      await describe(received)
    },
  })
  const head = (path: string) =>
    `PUT ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: ${mebibyte}\r\n\r\n`
  connection.send(head('/'))
  const early = connection.answer().then(({ status }) => status)
  t.equal(await Promise.race([early, new Promise(resolve => setTimeout(resolve, 100, 'nothing'))]), 'nothing')
  gate.resolve()
  t.equal(await early, 100)
  connection.send(Buffer.alloc(mebibyte))
  t.equal(await textOf(connection), `direct ${mebibyte}`)
  connection.send(head('/refuse'))
  const refused = await connection.answer()
  t.match(refused, { status: 200, headers: { connection: 'close' } })
  await connection.closed
})

t.test('while nothing is asked on a connection that came back, it ends before Node would answer a timeout', async t => {
  const { connection, server } = await start(t)
  const accepted = once(server, 'request')
  connection.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')
  const [{ socket }] = await accepted
  t.equal(await textOf(connection), 'direct 5')
  t.ok(socket.timeout > 0 && socket.timeout < server.headersTimeout, `${socket.timeout} ms`)
  connection.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  t.equal(await textOf(connection), 'ordinary 0')
  t.ok(socket.timeout >= server.keepAliveTimeout, 'then it is as any other')
  socket.emit('timeout')
  await connection.closed
})

t.test('a request without direct reads has no direct body', async t => {
  let found: unknown
  const { connection } = await start(t, {
    wants: () => false,
    async handle(received) {
      found = directBodyOf(received.request)
      await describe(received)
    },
  })
  connection.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')
  t.equal(await textOf(connection), 'ordinary 5')
  t.equal(found, undefined)
})
