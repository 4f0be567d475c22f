import { createHash } from 'node:crypto'
import t from 'tap'
import { createContent, kibibyte, mebibyte } from '../../benchmarks/generator/content.ts'

function digestOf(pieces: Iterable<Buffer>): { digest: string; size: number } {
  const hash = createHash('sha256')
  let size = 0
  for (const piece of pieces) {
    hash.update(piece)
    size += piece.length
  }
  return { digest: `sha256:${hash.digest('hex')}`, size }
}

/** Takes the framing of chunks off. */
function* unframed(pieces: Iterable<Buffer>): Iterable<Buffer> {
  const bytes = Buffer.concat([...pieces])
  for (let at = 0; ;) {
    const end = bytes.indexOf('\r\n', at)
    const length = Number.parseInt(bytes.toString('latin1', at, end), 16)
    if (length === 0) return
    yield bytes.subarray(end + 2, end + 2 + length)
    at = end + 2 + length + 2
  }
}

for (const size of [32, 4 * kibibyte, mebibyte - 1, mebibyte, mebibyte + 1, mebibyte + 40, 3 * mebibyte + 12_345]) {
  t.test(`a body of ${size} bytes is what its digest says, plain and in chunks`, async t => {
    const content = createContent(size)
    const { digest } = content
    t.same(digestOf(content.plain()), { digest, size })
    t.same(digestOf(unframed(content.chunked())), { digest, size })
    t.not(createContent(size).digest, digest, 'and another one differs')
  })
}
