import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startBadNetwork } from './bad-network.ts'
import { until } from './open-files.ts'

/** A server that answers with the size and the bytes of what it is sent, over a network; and what it was asked. */
async function setUp(t: Test) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    buffer(request).then(
      bytes => response.end(bytes),
      () => response.destroy(),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const network = await startBadNetwork(t, `http://127.0.0.1:${address.port}`)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())

  async function send(path: string, body = Buffer.alloc(0), headers: Record<string, string> = {}) {
    const sent = request(`${network.url}${path}`, {
      method: 'PUT',
      agent,
      headers: { 'content-length': body.length, ...headers },
    }).end(body)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return { status: response.statusCode, body: await buffer(response) }
  }
  return { network, asked, send }
}

t.test('requests go through as they are, on one connection', async t => {
  const { network, asked, send } = await setUp(t)
  const body = Buffer.alloc(3_000_000, 'body')
  for (const size of [0, 10, body.length])
    t.ok((await send(`/of-${size}`, body.subarray(0, size))).body.equals(body.subarray(0, size)))
  t.same(asked, ['PUT /of-0', 'PUT /of-10', 'PUT /of-3000000'])
  t.equal(network.open, 1)
  t.ok(network.passed.up > body.length && network.passed.down > body.length)
})

t.test('requests that fit are answered by it as often as said, and the server does not see them', async t => {
  const { network, asked, send } = await setUp(t)
  const body = Buffer.alloc(2_000_000)
  const busy = network.answer({ when: /^PUT \/one/, times: 2, status: 503, body: 'busy' })
  const early = network.answer({ when: /^PUT \/two/, times: 1, status: 403, readBody: false })
  for (const [path, status, headers] of [
    ['/one', 503],
    ['/one', 503, { expect: '100-continue' }],
    ['/two', 403],
    ['/two', 200],
    ['/one', 200],
  ] as const)
    t.equal((await send(path, body, headers)).status, status, path)
  t.same([busy.met, early.met], [2, 1])
  t.same(asked, ['PUT /two', 'PUT /one'])
})

t.test('an answer is lost that the server gave', async t => {
  const { network, asked, send } = await setUp(t)
  const lost = network.loseAnswers({ when: /^PUT \/lost/, times: 1 })
  await t.rejects(send('/lost', Buffer.alloc(100_000)))
  t.equal((await send('/lost')).status, 200)
  t.equal(lost.met, 1)
  t.same(asked, ['PUT /lost', 'PUT /lost'])
})

t.test('connections are cut after as many bytes as said', async t => {
  const { network, send } = await setUp(t)
  const body = Buffer.alloc(1_000_000)
  for (const [direction, after] of [
    ['up', 0],
    ['up', 500_001],
    ['down', 0],
    ['down', 777_777],
  ] as const) {
    const before = network.passed[direction]
    network.cutAfter(direction, after)
    await t.rejects(send('/cut', body))
    t.equal(network.passed[direction] - before, after)
    t.equal(
      await until(
        () => network.open,
        open => open === 0,
      ),
      0,
    )
  }
  t.equal((await send('/whole', body)).body.length, body.length)
})

t.test('a frozen network lets nothing through, and loses nothing', async t => {
  const { network, send } = await setUp(t)
  await send('/warm')
  network.freeze()
  const before = { ...network.passed }
  const sending = send('/frozen', Buffer.alloc(100))
  t.equal(await Promise.race([sending, sleep(100, 'nothing')]), 'nothing')
  t.same(network.passed, before)
  network.thaw()
  t.equal((await sending).status, 200)
})

t.test('a slow network takes its time, and requests wait', async t => {
  const { network, send } = await setUp(t)
  const body = Buffer.alloc(200_000)
  for (const worsen of [
    () => network.throttle('up', 1_000_000),
    () => network.throttle('down', 1_000_000),
    () => network.delay(190),
  ]) {
    worsen()
    const began = performance.now()
    await send('/slow', body)
    t.ok(performance.now() - began > 180)
    await network.mend()
  }
})

t.test('a network that refuses cuts what is open, until it is mended', async t => {
  const { network, send } = await setUp(t)
  await send('/before')
  await network.refuse()
  await t.rejects(send('/cut'), 'on the connection that was kept, or not')
  await t.rejects(send('/refused'), { code: 'ECONNREFUSED' })
  await network.mend()
  t.equal((await send('/after')).status, 200)
})
