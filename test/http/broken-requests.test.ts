import { once } from 'node:events'
import t, { type Test } from 'tap'
import { silentLog } from '../../server/lib/log.ts'
import { startRegistry } from '../helpers/registry.ts'
import { type Connection, firstError, open } from './connection.ts'

async function openTo(t: Test, url: string): Promise<Connection> {
  const connection = await open(url)
  t.teardown(() => connection.close())
  return connection
}

t.test('what is not HTTP is answered in the envelope, and its connection closed', async t => {
  const { url } = await startRegistry(t, { headers: { 'X-House': ['ours', 'and yours'] } })
  const table: [string, string | Buffer, number][] = [
    ['nonsense', 'NONSENSE\r\n\r\n', 400],
    ['bytes', Buffer.from([0x16, 3, 1, 0, 200, 1, 0, 0]), 400],
    ['HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['no Host', 'GET /v2/ HTTP/1.1\r\n\r\n', 400],
    ['two hosts', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n', 400],
    [
      'a coding under the chunks',
      'POST /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a header without a name', 'GET /v2/ HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n', 400],
    ['a line feed in a header', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nA: b\nc\r\n\r\n', 400],
    ['two lengths', 'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a negative length', 'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
    ['an unknown method', 'FOO /v2/ HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['a proxy wanted', 'CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n', 405],
    ['a large URL', `GET /v2/${'a'.repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    ['large headers', `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(3_000_000)}\r\n\r\n`, 431],
  ]
  for (const [what, text, status] of table) {
    const connection = await openTo(t, url)
    connection.send(text)
    const answer = await connection.answer()
    t.equal(answer.status, status, what)
    t.match(answer.headers, {
      'content-type': /^application\/json/,
      'x-content-type-options': 'nosniff',
      'x-house': 'ours, and yours',
    })
    t.match(firstError(answer.body), { code: 'UNSUPPORTED', message: /./ }, what)
    await connection.closed
  }
  t.equal((await fetch(`${url}/v2/`)).status, 200)
})

t.test('a request that ends in the middle is answered', async t => {
  const { url } = await startRegistry(t)
  const connection = await openTo(t, url)
  connection.socket.end('GET /v2/ HTTP/1.1\r\nHost')
  t.equal((await connection.answer()).status, 400)
  await connection.closed
})

t.test('nonsense behind a request does not get into the answer of it', async t => {
  const { url } = await startRegistry(t)
  const connection = await openTo(t, url)
  connection.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nNONSENSE\r\n\r\n')
  const first = await connection.answer()
  t.ok(first.status === 200 || first.status === 400)
  if (first.status === 200) t.equal((await connection.answer()).status, 400)
  await connection.closed
})

t.test('a client that goes away is no fault', async t => {
  const { url } = await startRegistry(t)
  for (const text of [
    '',
    'GET',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\n',
    'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc',
  ]) {
    const connection = await openTo(t, url)
    connection.send(text)
    if ('resetAndDestroy' in connection.socket && typeof connection.socket.resetAndDestroy === 'function')
      connection.socket.resetAndDestroy()
    await once(connection.socket, 'close')
  }
  t.equal((await fetch(`${url}/v2/`)).status, 200)
})

t.test('a whole URL in the request line is understood', async t => {
  const { url } = await startRegistry(t)
  const connection = await openTo(t, url)
  for (const [target, status] of [
    [`${url}/v2/`, 200],
    [`${url}/v2/a/tags/list`, 404],
    ['http://elsewhere.test/v2/', 200],
    ['HTTP://elsewhere.test', 200],
    ['http://elsewhere.test?x=1', 200],
    ['ftp://elsewhere.test/v2/', 404],
    ['*', 404],
  ] as const) {
    connection.send(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)
    t.equal((await connection.answer()).status, status, target)
  }
})

t.test('paths that lead nowhere are answered in the envelope', async t => {
  const { url } = await startRegistry(t)
  const connection = await openTo(t, url)
  const paths = [
    '/%',
    '/%zz',
    '/v2/%zz',
    '/v2/a/manifests/%ff',
    '/v2/../etc/passwd',
    '//',
    '/v2//tags/list',
    '/..',
    '/v2/a/%2e%2e/tags/list',
    `/${'a'.repeat(10_000)}`,
    '/v2/a/manifests/%00',
    '/?%zz',
  ]
  for (const path of paths) {
    connection.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    const answer = await connection.answer()
    if (path === '/?%zz') t.equal(answer.status, 200)
    else {
      t.ok(answer.status === 404 || answer.status === 400, `${answer.status} ${path.slice(0, 30)}`)
      t.match(firstError(answer.body).code, /^[A-Z_]+$/)
    }
    t.match(answer.headers['x-request-id'], /^[0-9a-f-]{36}$/, path.slice(0, 30))
  }
})

t.test('what was not understood is told in the log, without its bytes', async t => {
  const lines: unknown[] = []
  const note = (fields: unknown, message?: string) => void lines.push({ fields, message })
  const requestLog = {
    ...silentLog,
    info: note,
    level: 'info',
    fatal() {},
    trace() {},
    silent() {},
    child: () => requestLog,
  }
  const { url } = await startRegistry(t, { requestLog })
  const connection = await openTo(t, url)
  connection.send('NONSENSE secret-in-it\r\n\r\n')
  await connection.answer()
  t.match(lines, [/./, { message: 'request not understood', fields: { client: '127.0.0.1', reason: /^HPE_/ } }])
  t.notMatch(JSON.stringify(lines), /secret-in-it/)
})
