import t from 'tap'
import { createAnswerReader } from '../../benchmarks/generator/answers.ts'
import type { Answer } from '../../benchmarks/generator/connection.ts'

/** What is read from a text that comes in pieces of `size` bytes, by one buffer that is used again. */
function read(text: string, size: number, { bodyless = false, keep = true } = {}): Answer[] {
  const answers: Answer[] = []
  const reader = createAnswerReader(answer => answers.push(answer))
  reader.begin({ bodyless, keep })
  const bytes = Buffer.from(text, 'latin1')
  const buffer = Buffer.alloc(size, '\r\n')
  for (let at = 0; at < bytes.length; at += size) reader.read(buffer, bytes.copy(buffer, 0, at, at + size))
  return answers
}

const plain = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const chunked =
  'HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n'

for (const size of [1, 2, 3, 7, 64, 4096]) {
  t.test(`answers are read whole from pieces of ${size} bytes`, async t => {
    for (const [text, status] of [
      [plain, 200],
      [chunked, 206],
    ] as const) {
      const answers = read(text + text, size)
      t.equal(answers.length, 2)
      for (const answer of answers) t.match(answer, { status, length: 5, body: Buffer.from('hello') })
    }
  })
}

t.test('a body is counted without being kept, unless it tells what went wrong', async t => {
  t.match(read(plain, 64, { keep: false }), [{ length: 5, body: Buffer.alloc(0) }])
  const refused = read('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone', 64, { keep: false })
  t.match(refused, [{ status: 404, body: Buffer.from('gone') }])
})

t.test('an answer to HEAD ends with its head, and so does one without content', async t => {
  t.match(read('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 9, { bodyless: true }), [{ status: 200, length: 0 }])
  t.match(read('HTTP/1.1 204 No Content\r\n\r\n', 9), [{ status: 204, length: 0 }])
})
