import t from 'tap'
import { createChunkedScanner } from '../../../server/http/bodies/chunked.ts'

/** Scans segments one after the other. @returns the payload, how many bytes belonged to the body, and whether it ended */
function scan(segments: readonly Buffer[]): { payload: string; taken: number; ended: boolean } {
  const scanner = createChunkedScanner()
  let payload = ''
  let taken = 0
  for (const segment of segments) {
    const pieces: number[] = []
    taken += scanner.scan(segment, pieces)
    for (let index = 0; index < pieces.length; index += 2) {
      const [start = 0, length = 0] = pieces.slice(index, index + 2)
      payload += segment.subarray(start, start + length).toString('latin1')
    }
  }
  return { payload, taken, ended: scanner.ended }
}

const whole = (text: string) => scan([Buffer.from(text, 'latin1')])
/** Byte by byte. */
const apart = (text: string) => scan(Array.from(Buffer.from(text, 'latin1'), byte => Buffer.of(byte)))

const good: [what: string, body: string, payload: string][] = [
  ['no chunk', '0\r\n\r\n', ''],
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['chunks', '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n', 'abc'],
  ['payload that looks like the coding', '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n\r\n'],
  ['sizes in hexadecimal of both cases', 'a\r\n0123456789\r\nB\r\n01234567890\r\n0\r\n\r\n', '012345678901234567890'],
  ['zeros before a size', '0005\r\nhello\r\n000\r\n\r\n', 'hello'],
  ['extensions', '1;a\r\nx\r\n1 ; b="c d"\t\r\ny\r\n0;last\r\n\r\n', 'xy'],
  ['trailers', '1\r\nx\r\n0\r\nA: b\r\nC: \r\n\r\n', 'x'],
  ['no chunk, but a trailer', '0\r\nA: b\r\n\r\n', ''],
]

for (const [what, body, payload] of good) {
  t.test(`${what}: the payload is found however the bytes are cut`, async t => {
    t.strictSame(whole(body), { payload, taken: body.length, ended: true })
    t.strictSame(apart(body), { payload, taken: body.length, ended: true })
    const bytes = Buffer.from(body, 'latin1')
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const found = scan([bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)])
        if (found.payload !== payload || !found.ended) t.fail(`cut at ${first} and ${second}: ${JSON.stringify(found)}`)
      }
    }
  })

  t.test(`${what}: what follows the body is not its own`, async t => {
    const next = '0\r\n\r\nGET / HTTP/1.1\r\n\r\n'
    t.strictSame(whole(body + next), { payload, taken: body.length, ended: true })
    t.strictSame(apart(body + next), { payload, taken: body.length, ended: true })
  })

  t.test(`${what}: before its last byte it has not ended`, async t => {
    for (let length = 0; length < body.length; length++) {
      if (whole(body.slice(0, length)).ended) t.fail(`it ended after ${length} bytes`)
    }
  })
}

const bad: [what: string, body: string][] = [
  ['no size', '\r\nhello'],
  ['an extension without a size', ';a\r\n'],
  ['a size that is not hexadecimal', 'g\r\n'],
  ['a size with a sign', '-1\r\n'],
  ['a size with a prefix', '0x5\r\nhello\r\n'],
  ['a size after a space', ' 5\r\nhello\r\n'],
  ['two sizes', '5 5\r\nhello\r\n'],
  ['a size that no integer can be', '10000000000000\r\n'],
  ['a size of too many digits', `${'0'.repeat(14)}\r\n`],
  ['a line that ends with LF alone', '5\nhello\r\n'],
  ['a line that ends with CR alone', '5\rhello\r\n'],
  ['an extension that ends with LF alone', '5;a\nhello\r\n'],
  ['a control character in an extension', '5;a\0\r\nhello\r\n'],
  ['a chunk that is longer than its size', '5\r\nhello!\r\n'],
  ['a chunk that ends with LF alone', '5\r\nhello\n'],
  ['a chunk that ends with CR alone', '5\r\nhello\r5'],
  ['a trailer that ends with LF alone', '0\r\nA: b\n\r\n'],
  ['a trailer that ends with CR alone', '0\r\nA: b\rC'],
  ['a control character in a trailer', '0\r\nA: \u007f\r\n\r\n'],
  ['an end without its CR', '0\r\n\n'],
  ['an extension that is too long', `5;${'a'.repeat(4097)}\r\n`],
  ['spaces that are too many', `5${' '.repeat(4098)}\r\n`],
  ['trailers that are too long', `0\r\n${'A: b\r\n'.repeat(4097)}\r\n`],
]

for (const [what, body] of bad) {
  t.test(`${what} is refused however the bytes are cut`, async t => {
    t.throws(() => whole(body))
    t.throws(() => apart(body))
  })
}

t.test('extensions may be as long as the limit, each anew, and trailers too', async t => {
  const chunk = `1;${'a'.repeat(4095)}\r\nx\r\n`
  t.strictSame(whole(`${chunk.repeat(5)}0\r\n\r\n`).payload, 'xxxxx')
  t.ok(whole(`0\r\n${'A: b\r\n'.repeat(4096)}\r\n`).ended)
})

t.test('the largest size is taken, and its payload is not waited for', async t => {
  const found = whole(`1fffffffffffff\r\n`.slice(1) + 'payload')
  t.strictSame(found, { payload: 'payload', taken: 15 + 7, ended: false })
})
