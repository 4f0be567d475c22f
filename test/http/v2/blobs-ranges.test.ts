import t from 'tap'
import type { Answer } from '../../../conformance/http.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { pull, push, refusal } from './uploads-client.ts'

const registry = await startRegistry(t)
const content = randomBlob(10_000)
const { bytes, digest } = content
await push(registry, 'ranges/a', content)

function range(value: string, headers: Record<string, string> = {}): Promise<Answer> {
  return pull(registry, 'ranges/a', digest, { headers: { range: value, ...headers } })
}

t.test('[28] [29] one range is answered with 206 and exactly its bytes', async t => {
  const cases: [string, number, number][] = [
    ['bytes=0-0', 0, 0],
    ['bytes=0-9', 0, 9],
    ['bytes=500-1499', 500, 1499],
    ['bytes=9999-9999', 9999, 9999],
    ['bytes=0-9999', 0, 9999],
    ['bytes=500-', 500, 9999],
    ['bytes=0-', 0, 9999],
    ['bytes=9999-', 9999, 9999],
    ['bytes=-1', 9999, 9999],
    ['bytes=-500', 9500, 9999],
    ['bytes=-10000', 0, 9999],
    ['bytes=-10001', 0, 9999],
    ['bytes=-99999999999999999999999', 0, 9999],
    ['bytes=9990-20000', 9990, 9999],
    ['bytes=0-99999999999999999999999', 0, 9999],
    ['BYTES=1-2', 1, 2],
    [' bytes=1-2 ', 1, 2],
    ['bytes= 1-2', 1, 2],
    ['bytes=0-0,20000-30000', 0, 0],
    ['bytes=20000-,-5', 9995, 9999],
  ]
  for (const [value, first, last] of cases) {
    const { status, headers, body } = await range(value)
    t.equal(status, 206, value)
    t.ok(body.equals(bytes.subarray(first, last + 1)), value)
    t.match(headers, {
      'content-length': String(last - first + 1),
      'content-range': `bytes ${first}-${last}/10000`,
      'content-type': 'application/octet-stream',
      'docker-content-digest': digest,
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
    })
  }
})

t.test('[29] a range with nothing of the blob in it is answered with 416 and the size', async t => {
  for (const value of [
    'bytes=10000-',
    'bytes=10000-10001',
    'bytes=20000-5000000',
    'bytes=500-0',
    'bytes=-0',
    'bytes=20000-,30000-40000',
  ]) {
    const answer = await range(value)
    t.equal(refusal(answer), '416 UNSUPPORTED', value)
    t.equal(answer.headers['content-range'], 'bytes */10000')
    t.equal(answer.headers['cache-control'], undefined, 'nobody keeps the refusal')
    t.equal(answer.headers['etag'], undefined)
  }
})

t.test('[28] a Range that can not be understood is as if it were not there', async t => {
  const values = [
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=1',
    'bytes=0x1-0x2',
    'bytes=1-2-3',
    'bytes=--1',
    'bytes 0-1',
  ]
  for (const value of [
    ...values,
    'items=0-1',
    'bytes=0-1;2-3',
    'bytes=0-1,x',
    '0-1',
    'bytes=1.0-2',
    'bytes=+1-2',
    'bytes=1-2,,3-4',
  ]) {
    const answer = await range(value)
    t.equal(answer.status, 200, value)
    t.ok(answer.body.equals(bytes))
    t.equal(answer.headers['content-range'], undefined)
  }
})

t.test(
  '[30] several ranges are answered with their parts, in the order asked for and with the exact length',
  async t => {
    const cases: [string, [number, number][]][] = [
      [
        'bytes=0-0,5-9',
        [
          [0, 0],
          [5, 9],
        ],
      ],
      [
        'bytes=9000-9999, 0-99 , -10',
        [
          [9000, 9999],
          [0, 99],
          [9990, 9999],
        ],
      ],
      [
        'bytes=0-9,5-14',
        [
          [0, 9],
          [5, 14],
        ],
      ],
      [
        'bytes=0-1,20000-30000,2-3',
        [
          [0, 1],
          [2, 3],
        ],
      ],
    ]
    for (const [value, wanted] of cases) {
      const { status, headers, body } = await range(value)
      t.equal(status, 206, value)
      const boundary =
        /^multipart\/byteranges; boundary=([\w-]{10,70})$/.exec(String(headers['content-type']))?.[1] ?? ''
      t.not(boundary, '')
      const parts = wanted.flatMap(([first, last], index) => [
        Buffer.from(
          `${index === 0 ? '' : '\r\n'}--${boundary}\r\ncontent-type: application/octet-stream\r\n` +
            `content-range: bytes ${first}-${last}/10000\r\n\r\n`,
        ),
        bytes.subarray(first, last + 1),
      ])
      const exact = Buffer.concat([...parts, Buffer.from(`\r\n--${boundary}--\r\n`)])
      t.ok(body.equals(exact), 'byte for byte')
      t.equal(headers['content-length'], String(exact.length))
      t.equal(headers['content-range'], undefined)
      t.equal(headers['docker-content-digest'], digest)
    }
  },
)

t.test('[30] the boundary can not be known beforehand', async t => {
  const [one, two] = [await range('bytes=0-0,5-9'), await range('bytes=0-0,5-9')]
  t.not(one.headers['content-type'], two.headers['content-type'])
})

t.test('[30] ranges that are too many, or more than the whole, are answered with the whole', async t => {
  const many = Array.from({ length: 65 }, (_, index) => `${index * 10}-${index * 10}`).join(',')
  const values = [`bytes=${many}`, 'bytes=0-,0-', 'bytes=0-9999,0-0', 'bytes=0-6000,3000-9999']
  for (const value of values) {
    const answer = await range(value)
    t.equal(answer.status, 200, value.slice(0, 40))
    t.ok(answer.body.equals(bytes))
  }
  const most = Array.from({ length: 64 }, (_, index) => `${index * 10}-${index * 10}`).join(',')
  t.equal((await range(`bytes=${most}`)).status, 206)
})

t.test('[30] parts of a blob that is larger than every buffer come whole', async t => {
  const large = randomBlob(8_000_000)
  await push(registry, 'ranges/large', large)
  const { body, headers } = await pull(registry, 'ranges/large', large.digest, {
    headers: { range: 'bytes=0-2999999,4000000-7999998' },
  })
  t.equal(String(body.length), headers['content-length'])
  const at = body.indexOf('\r\n\r\n') + 4
  t.ok(body.subarray(at, at + 3_000_000).equals(large.bytes.subarray(0, 3_000_000)))
  const next = body.indexOf('\r\n\r\n', at + 3_000_000) + 4
  t.ok(body.subarray(next, next + 3_999_999).equals(large.bytes.subarray(4_000_000, 7_999_999)))
})

t.test('[31] If-Range: a Range counts only for the blob that the client has a part of', async t => {
  for (const [value, status] of [
    [`"${digest}"`, 206],
    [` "${digest}" `, 206],
    [`W/"${digest}"`, 200],
    [digest, 200],
    ['"other"', 200],
    ['*', 200],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 200],
    ['', 200],
  ] as const) {
    const answer = await range('bytes=0-9', { 'if-range': value })
    t.equal(answer.status, status, value)
    t.equal(answer.body.length, status === 206 ? 10 : 10_000)
  }
  t.equal((await range('bytes=20000-', { 'if-range': '"other"' })).status, 200, 'nor is it refused then')
})

t.test('If-Match and If-None-Match come before the Range', async t => {
  t.equal((await range('bytes=0-9', { 'if-match': `"${digest}"` })).status, 206)
  t.equal((await range('bytes=0-9', { 'if-match': '"other"' })).status, 412)
  t.equal((await range('bytes=0-9', { 'if-none-match': '"other"' })).status, 206)
  t.equal((await range('bytes=20000-', { 'if-none-match': `"${digest}"` })).status, 304)
})

t.test('HEAD takes no notice of a Range', async t => {
  for (const value of ['bytes=0-9', 'bytes=20000-', 'bytes=0-0,5-9']) {
    const answer = await pull(registry, 'ranges/a', digest, { method: 'HEAD', headers: { range: value } })
    t.equal(answer.status, 200)
    t.equal(answer.headers['content-length'], '10000')
    t.equal(answer.headers['content-range'], undefined)
  }
})

t.test('[33] of a blob without bytes every Range gives the whole', async t => {
  const empty = randomBlob(0)
  await push(registry, 'ranges/empty', empty)
  for (const value of ['bytes=0-', 'bytes=0-9', 'bytes=-5', 'bytes=0-0,1-1']) {
    const answer = await pull(registry, 'ranges/empty', empty.digest, { headers: { range: value } })
    t.equal(answer.status, 200, value)
    t.equal(answer.headers['content-length'], '0')
  }
})

t.test('a blob can be pulled in parts, one after the other and all at once', async t => {
  const cuts = Array.from({ length: 20 }, (_, index) => index * 500)
  const parts = await Promise.all(cuts.map(at => range(`bytes=${at}-${at + 499}`, { 'if-range': `"${digest}"` })))
  t.ok(Buffer.concat(parts.map(part => part.body)).equals(bytes))
})
