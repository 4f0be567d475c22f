import { once } from 'node:events'
import type { RequestListener, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { serverCreator } from '../../server/http/server.ts'
import { silentLog } from '../../server/lib/log.ts'
import { open } from './connection.ts'

async function serve(t: Test, handler: RequestListener): Promise<string> {
  const server = serverCreator({ tls: undefined, http2: false, log: silentLog })(handler)
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}

const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
/** Bytes that an answer's connection has not given to the system. */
const held = ({ socket }: ServerResponse) => socket?.writableLength ?? 0
const turn = () => new Promise(resolve => setImmediate(resolve))

t.test('an answer goes out at the end of the turn in which it was given, with a body and without', async t => {
  const seen: number[] = []
  const url = await serve(t, (_request, response) => {
    response.end(seen.length === 0 ? 'body' : undefined)
    const { socket } = response
    seen.push(held(response))
    setImmediate(() => seen.push(socket?.writableLength ?? -1))
  })
  for (const body of ['body', '']) {
    const connection = await open(url)
    connection.send(request('/'))
    t.equal((await connection.answer()).body.toString(), body)
    connection.close()
  }
  t.ok((seen[0] ?? 0) > 0, 'it waits')
  t.equal(seen[1], 0, 'until the end of the turn')
  t.ok((seen[2] ?? 0) > 0)
  t.equal(seen[3], 0)
})

t.test('answers of several connections, given in one turn, all arrive', async t => {
  const waiting: ServerResponse[] = []
  const url = await serve(t, (_request, response) => {
    waiting.push(response)
    if (waiting.length < 20) return
    for (const [index, one] of waiting.entries()) one.end(`answer ${index}`)
    t.ok(waiting.every(one => held(one) > 0))
  })
  const connections = await Promise.all(Array.from({ length: 20 }, () => open(url)))
  for (const connection of connections) connection.send(request('/'))
  const bodies = await Promise.all(connections.map(async one => (await one.answer()).body.toString()))
  t.same(bodies.toSorted(), Array.from({ length: 20 }, (_, index) => `answer ${index}`).toSorted())
  for (const connection of connections) connection.close()
})

t.test('answers to pipelined requests come in their order', async t => {
  const url = await serve(t, ({ url: path }, response) => {
    if (path === '/slow') setTimeout(() => response.end(path), 20)
    else response.end(path)
  })
  const connection = await open(url)
  connection.send(request('/1') + request('/slow') + request('/2'))
  for (const path of ['/1', '/slow', '/2']) t.equal((await connection.answer()).body.toString(), path)
  connection.close()
})

async function answerInPieces(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-length': 6 })
  for (const piece of ['a', 'b', 'c', 'd', 'e']) {
    response.write(piece)
    await turn()
  }
  response.end('f')
}

t.test('what is written piece by piece, over several turns, arrives whole', async t => {
  const url = await serve(t, (_request, response) => void answerInPieces(response))
  const connection = await open(url)
  connection.send(request('/'))
  t.equal((await connection.answer()).body.toString(), 'abcdef')
  connection.close()
})

t.test('an answer with which the connection ends arrives before its end', async t => {
  const url = await serve(t, (_request, response) => {
    response.setHeader('connection', 'close')
    response.end('the last one')
  })
  const connection = await open(url)
  connection.send(request('/'))
  t.equal((await connection.answer()).body.toString(), 'the last one')
  await connection.closed
})
