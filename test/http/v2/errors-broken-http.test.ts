import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { indexType } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { errorEntries, statusOf } from './requests.ts'

const { url } = await startRegistry(t)
const { hostname, port } = new URL(url)

/** Sends bytes as they are, and reads until the server closes. */
async function send(bytes: string | Buffer): Promise<string> {
  const socket = connect({ host: hostname, port: Number(port) })
  socket.setTimeout(20_000, () => socket.destroy(new Error('no answer and no end')))
  socket.write(bytes)
  try {
    return await text(socket)
  } catch (error) {
    // An answer was sent before the connection was reset, or none at all: then there is nothing to read.
    return error instanceof Error && 'code' in error && error.code === 'ECONNRESET' ? '' : Promise.reject(error)
  }
}

/** The first answer of a connection. A body in chunks has to come in one, or in none. */
function parse(answer: string): { status: number; headers: string; body: string } {
  const [, status = '', head = '', rest = ''] = /^HTTP\/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(answer) ?? []
  const headers = head.toLowerCase()
  const chunk = /^[0-9a-f]+\r\n(.*)\r\n0\r\n\r\n$/s.exec(rest)?.[1]
  const body = headers.includes('transfer-encoding: chunked') ? (chunk ?? '') : rest
  return { status: Number(status), headers, body }
}

const host = `Host: ${hostname}:${port}`
const put = `PUT /v2/broken/manifests/v1 HTTP/1.1\r\n${host}\r\nContent-Type: ${indexType}\r\nConnection: close\r\n`

t.test('[8] what is not HTTP is answered in the envelope, and never with a 5xx', async t => {
  const broken: Record<string, string | Buffer> = {
    'no HTTP at all': 'GARBAGE\r\n\r\n',
    'no path': 'GET\r\n\r\n',
    'an unknown version': `GET /v2/ HTTP/9.9\r\n${host}\r\n\r\n`,
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a method in lower case': `get /v2/ HTTP/1.1\r\n${host}\r\n\r\n`,
    'a method that nobody knows': `FETCH /v2/ HTTP/1.1\r\n${host}\r\n\r\n`,
    'a NUL in the path': `GET /v2/a\0b/tags/list HTTP/1.1\r\n${host}\r\n\r\n`,
    'a line break in the path': `GET /v2/a\nb/tags/list HTTP/1.1\r\n${host}\r\n\r\n`,
    'a space in the path': `GET /v2/a b/tags/list HTTP/1.1\r\n${host}\r\n\r\n`,
    'a header without a colon': `GET /v2/ HTTP/1.1\r\n${host}\r\nbroken\r\n\r\n`,
    'a space before the colon': `GET /v2/ HTTP/1.1\r\n${host}\r\nAccept : */*\r\n\r\n`,
    'a NUL in a header': `GET /v2/ HTTP/1.1\r\n${host}\r\nAccept: a\0b\r\n\r\n`,
    'a header on two lines': `GET /v2/ HTTP/1.1\r\n${host}\r\nAccept: a\r\n b\r\n\r\n`,
    'a length that is none': `${put}Content-Length: abc\r\n\r\n`,
    'a negative length': `${put}Content-Length: -1\r\n\r\n`,
    'a length beyond all bounds': `${put}Content-Length: ${'9'.repeat(40)}\r\n\r\n`,
    'two lengths': `${put}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`,
    'a length and chunks': `${put}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'an encoding that is none': `${put}Transfer-Encoding: gzip\r\n\r\nxx`,
    'a chunk whose size is none': `${put}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n`,
    'a chunk longer than it says': `${put}Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`,
    'a chunk of more bytes than there are numbers': `${put}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\n{}\r\n`,
    'bytes that are no characters in the path': Buffer.concat([
      Buffer.from('GET /v2/'),
      Buffer.from([0xc3, 0xa9, 0xff, 0xfe]),
      Buffer.from(`/tags/list HTTP/1.1\r\n${host}\r\n\r\n`),
    ]),
    'the hello of TLS': Buffer.from('16030100c8010000c40303', 'hex'),
    'headers without end': `GET /v2/ HTTP/1.1\r\n${host}\r\nX: ${'x'.repeat(100_000)}`,
    'too many headers': `GET /v2/ HTTP/1.1\r\n${host}\r\n${'X: y\r\n'.repeat(20_000)}\r\n`,
    'a URL of 1 MiB': `GET /v2/${'a'.repeat(1024 * 1024)}/tags/list HTTP/1.1\r\n${host}\r\n\r\n`,
    'a proxy’s request': `CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n\r\n`,
    'an expectation that can’t be met': `${put}Expect: a miracle\r\nContent-Length: 2\r\n\r\n{}`,
    'nothing of the server’s, but a star': `OPTIONS * HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`,
  }
  for (const [what, bytes] of Object.entries(broken)) {
    const { status, headers, body } = parse(await send(bytes))
    t.ok(status >= 400 && status < 500, `${what}: ${status}`)
    t.match(errorEntries(body), [{ code: 'UNSUPPORTED', message: /./ }], what)
    t.match(headers, /content-type: application\/json/)
  }
  t.equal(await statusOf(`${url}/v2/`), 200, 'and the registry goes on')
})

t.test('[8] the statuses say what was wrong', async t => {
  const statuses: Record<string, number> = {
    [`GET /v2/${'a'.repeat(1024 * 1024)} HTTP/1.1\r\n${host}\r\n\r\n`]: 431,
    [`CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n\r\n`]: 405,
    [`${put}Expect: a miracle\r\nContent-Length: 2\r\n\r\n{}`]: 417,
    'GARBAGE\r\n\r\n': 400,
  }
  for (const [bytes, status] of Object.entries(statuses))
    t.equal(parse(await send(bytes)).status, status, JSON.stringify(bytes.slice(0, 30)))
})

t.test('[6] a request whose form is old, rare or odd, but right, is answered', async t => {
  const right: Record<string, string> = {
    'HTTP/0.9': 'GET /v2/\r\n\r\n',
    'HTTP/1.0': 'GET /v2/ HTTP/1.0\r\n\r\n',
    'the whole URL': `GET ${url}/v2/ HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`,
    'line breaks before it': `\r\n\r\nGET /v2/ HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`,
    'an upgrade to what is not spoken': `GET /v2/ HTTP/1.1\r\n${host}\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n`,
    'a body where none is wanted': `GET /v2/ HTTP/1.1\r\n${host}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello`,
    'a fragment': `GET /v2/#part HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`,
  }
  for (const [what, bytes] of Object.entries(right)) t.equal(parse(await send(bytes)).status, 200, what)
})

t.test('[6] HTTP/1.1 without a Host is 400', async t => {
  t.equal(parse(await send('GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n')).status, 400)
})

t.test('what follows a broken request on its connection is not answered', async t => {
  const smuggled = `GET /v2/_catalog HTTP/1.1\r\n${host}\r\n\r\n`
  for (const length of ['Content-Length: 4\r\nTransfer-Encoding: chunked', 'Content-Length: 1\r\nContent-Length: 2']) {
    const answer = await send(`${put}${length}\r\n\r\n0\r\n\r\n${smuggled}`)
    t.notMatch(answer, /repositories/)
    t.equal(answer.split('HTTP/1.1 ').length, 2, 'one answer')
  }
})

t.test('a client that goes away in the middle of a manifest leaves nothing behind', async t => {
  const socket = connect({ host: hostname, port: Number(port) })
  const closed = new Promise(resolve => {
    socket.once('close', resolve)
  })
  await new Promise(resolve => {
    socket.write(`${put}Content-Length: 100\r\n\r\n{"schemaVersion":2,`, resolve)
  })
  socket.destroy()
  await closed
  t.equal(await statusOf(`${url}/v2/broken/manifests/v1`), 404)
  t.equal(await statusOf(`${url}/v2/`), 200)
})
