import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { until } from '../../storage-drivers/open-files.ts'
import {
  append,
  appendAt,
  begin,
  finish,
  has,
  offsetOf,
  refusal,
  startSending,
  status,
  withDigest,
} from './uploads-client.ts'

const registry = await startRegistry(t)

t.test('[44] [45] parts with a Content-Range, one after the other, make the blob', async t => {
  const { bytes, digest } = randomBlob(1000)
  const upload = await begin(registry, 'chunks/a')
  for (const [first, end] of [
    [0, 1],
    [1, 400],
    [400, 1000],
  ] as const) {
    const answer = await appendAt(upload, bytes, [first, end])
    t.equal(answer.status, 202)
    t.equal(answer.headers['range'], `0-${end - 1}`)
    t.equal(answer.headers['location'], upload)
  }
  t.equal((await finish(upload, digest)).status, 201)
  t.ok(await has(registry, 'chunks/a', { bytes, digest }))
})

t.test('[52] the last part may come with the PUT, and be of any size', async t => {
  for (const last of [1, 7, 999]) {
    const { bytes, digest } = randomBlob(1000)
    const upload = await begin(registry, 'chunks/b')
    const at = 1000 - last
    await appendAt(upload, bytes, [0, at])
    const made = await finish(upload, digest, bytes.subarray(at), { 'content-range': `${at}-999` })
    t.equal(made.status, 201, `the last ${last} bytes`)
    t.ok(await has(registry, 'chunks/b', { bytes, digest }))
  }
})

t.test('[51] parts may be as small as they like, and no least size is announced', async t => {
  const { bytes, digest } = randomBlob(20)
  const first = await ask(`${registry.url}/v2/chunks/c/blobs/uploads/`, { method: 'POST' })
  t.equal(first.headers['oci-chunk-min-length'], undefined)
  const upload = String(first.headers['location'])
  for (let at = 0; at < bytes.length; at++) {
    t.equal((await appendAt(upload, bytes, [at, at + 1])).headers['range'], `0-${at}`)
  }
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('[45] a whole blob in one POST begins at its first byte', async t => {
  const { bytes, digest } = randomBlob(100)
  const push = (range: string) =>
    ask(`${registry.url}/v2/order/p/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: bytes,
      headers: { 'content-range': range },
    })
  t.equal(refusal(await push('5-104')), '416 BLOB_UPLOAD_INVALID')
  t.equal((await push('0-99')).status, 201)
})

t.test('[45] a part out of order is refused with 416, and the upload goes on', async t => {
  const { bytes, digest } = randomBlob(1000)
  const upload = await begin(registry, 'order/a')
  t.equal(refusal(await appendAt(upload, bytes, [1, 400])), '416 BLOB_UPLOAD_INVALID', 'not from the first byte')
  t.equal(await offsetOf(upload), 0)
  await appendAt(upload, bytes, [0, 400])
  for (const wrong of [
    [0, 400],
    [399, 600],
    [401, 600],
    [600, 1000],
  ] as const) {
    const answer = await appendAt(upload, bytes, wrong)
    t.equal(refusal(answer), '416 BLOB_UPLOAD_INVALID', wrong.join('-'))
    t.equal(answer.headers['range'], '0-399', 'with the place to go on from')
    t.equal((await status(upload)).status, 204)
    t.equal(await offsetOf(upload), 400)
  }
  t.equal((await appendAt(upload, bytes, [400, 1000])).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
  t.ok(await has(registry, 'order/a', { bytes, digest }))
})

t.test('[46] a closing PUT out of order is refused with 416, and the upload goes on', async t => {
  const { bytes, digest } = randomBlob(1000)
  const upload = await begin(registry, 'order/b')
  await appendAt(upload, bytes, [0, 400])
  for (const at of [0, 399, 401]) {
    const answer = await finish(upload, digest, bytes.subarray(at), { 'content-range': `${at}-999` })
    t.equal(refusal(answer), '416 BLOB_UPLOAD_INVALID', `from ${at}`)
    t.equal(await offsetOf(upload), 400)
  }
  const made = await finish(upload, digest, bytes.subarray(400), { 'content-range': '400-999' })
  t.equal(made.status, 201)
  t.ok(await has(registry, 'order/b', { bytes, digest }))
})

t.test('a closing PUT without a body may repeat the range of the last part', async t => {
  const { bytes, digest } = randomBlob(1000)
  const upload = await begin(registry, 'order/c')
  await appendAt(upload, bytes, [0, 1000])
  t.equal((await finish(upload, digest, undefined, { 'content-range': '0-999' })).status, 201)
})

t.test('[45] a Content-Range that is none is refused with 416, and the upload goes on', async t => {
  const { bytes, digest } = randomBlob(10)
  const upload = await begin(registry, 'garbage/a')
  const garbage = [
    '',
    'x',
    '0',
    '-',
    '0-',
    '-9',
    '0-9-',
    '0--9',
    '9-0',
    '0-9 10-19',
    '0-9,10-19',
    'a-b',
    '0x0-0x9',
    '0.0-9.0',
    '+0-9',
  ]
  for (const range of [
    ...garbage,
    '-0-9',
    'bytes',
    'bytes */10',
    'items 0-9/10',
    `0-${'9'.repeat(400)}`,
    '٠-٩'.normalize(),
  ]) {
    const headers = { 'content-range': Buffer.from(range).toString('latin1') }
    t.equal(refusal(await append(upload, bytes, headers)), '416 BLOB_UPLOAD_INVALID', `PATCH ${range.slice(0, 20)}`)
    t.equal(
      refusal(await finish(upload, digest, bytes, headers)),
      '416 BLOB_UPLOAD_INVALID',
      `PUT ${range.slice(0, 20)}`,
    )
  }
  t.equal(await offsetOf(upload), 0)
  t.equal((await appendAt(upload, bytes, [0, 10])).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('the Content-Range of HTTP itself is understood, too', async t => {
  const { bytes, digest } = randomBlob(30)
  const upload = await begin(registry, 'garbage/b')
  for (const [index, range] of ['bytes 0-9/30', 'bytes 10-19/*', 'bytes=20-29'].entries()) {
    const part = bytes.subarray(index * 10, index * 10 + 10)
    t.equal((await append(upload, part, { 'content-range': range })).status, 202, range)
  }
  t.equal((await finish(upload, digest)).status, 201)
})

t.test(
  '[47] a body that is not as long as its Content-Range is refused with SIZE_INVALID, and none of it counts',
  async t => {
    const { bytes, digest } = randomBlob(1000)
    const upload = await begin(registry, 'length/a')
    await appendAt(upload, bytes, [0, 100])
    const wrong = { 'content-range': '100-299' }
    const chunked = { ...wrong, 'transfer-encoding': 'chunked' }
    for (const [title, part, headers] of [
      ['shorter', bytes.subarray(100, 299), wrong],
      ['longer', bytes.subarray(100, 301), wrong],
      ['none', Buffer.alloc(0), wrong],
      ['shorter, chunked', bytes.subarray(100, 299), chunked],
      ['longer, chunked', bytes.subarray(100, 301), chunked],
      ['none, chunked', Buffer.alloc(0), chunked],
    ] as const) {
      t.equal(refusal(await append(upload, part, headers)), '400 SIZE_INVALID', `PATCH ${title}`)
      t.equal(await offsetOf(upload), 100)
      if (title === 'none') continue
      t.equal(refusal(await finish(upload, digest, part, headers)), '400 SIZE_INVALID', `PUT ${title}`)
      t.equal(await offsetOf(upload), 100)
    }
    t.equal((await appendAt(upload, bytes, [100, 1000])).status, 202)
    t.equal((await finish(upload, digest)).status, 201)
    t.ok(await has(registry, 'length/a', { bytes, digest }))
  },
)

t.test('a PATCH that breaks off keeps what came, and the upload goes on from there', async t => {
  const { bytes, digest } = randomBlob(5_000_000)
  for (const [title, headers] of [
    ['with a length', { 'content-length': '5000000' }],
    ['with a range', { 'content-length': '5000000', 'content-range': '0-4999999' }],
    ['chunked', {}],
  ] as const) {
    const upload = await begin(registry, 'broken/a')
    const sending = startSending(registry, upload, { method: 'PATCH', headers })
    await sending.send(bytes.subarray(0, 3_000_000))
    sending.breakOff()
    const offset = await until(
      () => offsetOf(upload),
      offset => offset > 0,
    )
    t.ok(offset > 2_000_000 && offset <= 3_000_000, `${title}: ${offset} of 3000000 bytes are kept`)
    t.equal((await appendAt(upload, bytes, [offset, 4_000_000])).status, 202)
    t.equal((await finish(upload, digest, bytes.subarray(4_000_000))).status, 201)
    t.ok(await has(registry, 'broken/a', { bytes, digest }))
  }
})

t.test('a second PATCH that breaks off keeps what came of both', async t => {
  const { bytes, digest } = randomBlob(3_000_000)
  const upload = await begin(registry, 'broken/b')
  await append(upload, bytes.subarray(0, 1_000_000))
  const sending = startSending(registry, upload, { method: 'PATCH', headers: { 'content-length': '2000000' } })
  await sending.send(bytes.subarray(1_000_000, 2_500_000))
  sending.breakOff()
  const offset = await until(
    () => offsetOf(upload),
    offset => offset > 1_000_000,
  )
  t.ok(offset > 1_000_000 && offset <= 2_500_000)
  t.equal((await append(upload, bytes.subarray(offset))).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('a closing PUT that breaks off leaves the upload as it was before, and no blob', async t => {
  const { bytes, digest } = randomBlob(3_000_000)
  const upload = await begin(registry, 'broken/c')
  await append(upload, bytes.subarray(0, 1_000_000))
  const sending = startSending(registry, withDigest(upload, digest), {
    method: 'PUT',
    headers: { 'content-length': '2000000' },
  })
  await sending.send(bytes.subarray(1_000_000, 2_500_000))
  sending.breakOff()
  const made = await until(
    () => finish(upload, digest, bytes.subarray(1_000_000)),
    answer => answer.status !== 409,
  )
  t.equal(made.status, 201)
  t.ok(await has(registry, 'broken/c', { bytes, digest }))
})

t.test('a body that is chunked wrongly ends its PATCH, and what came before is kept', async t => {
  const { bytes, digest } = randomBlob(2_000_000)
  const upload = await begin(registry, 'broken/d')
  const { port, hostname, pathname } = new URL(upload)
  const socket = connect(Number(port), hostname)
  const answer = text(socket)
  socket.write(`PATCH ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\ntransfer-encoding: chunked\r\n\r\n`)
  socket.write(`${(1_500_000).toString(16)}\r\n`)
  socket.write(bytes.subarray(0, 1_500_000))
  socket.write('\r\nthis is no length\r\n')
  t.match(await answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
  const offset = await until(
    () => offsetOf(upload),
    offset => offset > 0,
  )
  t.ok(offset <= 1_500_000)
  t.equal((await append(upload, bytes.subarray(offset))).status, 202)
  t.equal((await finish(upload, digest)).status, 201)
})
