import { createHash } from 'node:crypto'
import t from 'tap'
import {
  algorithmOf,
  createDigester,
  digestOf,
  encodedOf,
  isDigest,
  isDigestAlgorithm,
  parseDigest,
} from '../../server/oci/digest.ts'

const sha256 = `sha256:${'0123456789abcdef'.repeat(4)}`
const sha512 = `sha512:${'0123456789abcdef'.repeat(8)}`

/** What can come in the place of a digest, and part of the reason that is given for refusing it. */
const bad: [text: string, reason: RegExp][] = [
  ['', /algorithm:encoded/],
  ['latest', /algorithm:encoded/],
  [sha256.slice('sha256:'.length), /algorithm:encoded/],
  [':', /sha256, sha512/],
  [sha256.slice('sha256'.length), /sha256, sha512/],
  [`md5:${'0'.repeat(32)}`, /sha256, sha512/],
  [`sha384:${'0'.repeat(96)}`, /sha256, sha512/],
  [`SHA256:${'0'.repeat(64)}`, /sha256, sha512/],
  [`blake3:${'0'.repeat(64)}`, /sha256, sha512/],
  [`multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8`, /sha256, sha512/],
  [`__proto__:${'0'.repeat(64)}`, /sha256, sha512/],
  ['sha256:', /64 lower-case/],
  [sha256.slice(0, -1), /64 lower-case/],
  [`${sha256}0`, /64 lower-case/],
  [sha256.toUpperCase().replace('SHA', 'sha'), /64 lower-case/],
  [`sha256:${'g'.repeat(64)}`, /64 lower-case/],
  [`${sha256}\n`, /64 lower-case/],
  [`sha256:${'0'.repeat(63)}\0`, /64 lower-case/],
  [`sha256::${'0'.repeat(63)}`, /64 lower-case/],
  [`sha256:${'０'.repeat(64)}`, /64 lower-case/],
  [`sha256:${'0'.repeat(128)}`, /64 lower-case/],
  [`sha512:${'0'.repeat(64)}`, /128 lower-case/],
  [`sha512:${'F'.repeat(128)}`, /128 lower-case/],
  [` ${sha256}`, /sha256, sha512/],
]

t.test('[4] sha256 and sha512 digests of the right length in lower case are digests', async t => {
  for (const text of [sha256, sha512]) {
    t.ok(isDigest(text), text)
    t.equal(parseDigest(text), text)
  }
})

t.test('[4] anything else is refused as DIGEST_INVALID with a reason', async t => {
  for (const [text, reason] of bad) {
    t.notOk(isDigest(text), JSON.stringify(text))
    t.throws(() => parseDigest(text), { code: 'DIGEST_INVALID', status: 400, message: reason }, JSON.stringify(text))
  }
})

t.test('the error does not repeat more of a text than a person would read', async t => {
  t.throws(() => parseDigest('x'.repeat(100_000)), { code: 'DIGEST_INVALID', detail: { digest: 'x'.repeat(200) } })
})

t.test('a digest has an algorithm and an encoded part', async t => {
  t.equal(algorithmOf(parseDigest(sha256)), 'sha256')
  t.equal(algorithmOf(parseDigest(sha512)), 'sha512')
  t.equal(encodedOf(parseDigest(sha256)), '0123456789abcdef'.repeat(4))
})

t.test('only sha256 and sha512 are algorithms', async t => {
  t.ok(isDigestAlgorithm('sha256'))
  t.ok(isDigestAlgorithm('sha512'))
  for (const text of ['', 'md5', 'SHA256', 'sha384', 'toString']) t.notOk(isDigestAlgorithm(text), text)
})

t.test('the digest of bytes is their hash, by either algorithm', async t => {
  const bytes = Buffer.from('some bytes')
  t.equal(digestOf(bytes), `sha256:${createHash('sha256').update(bytes).digest('hex')}`)
  t.equal(digestOf(bytes, 'sha512'), `sha512:${createHash('sha512').update(bytes).digest('hex')}`)
  t.equal(digestOf(Buffer.alloc(0)), 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
})

t.test('a digester goes on after it was asked, and a copy goes its own way', async t => {
  const digester = createDigester('sha256')
  digester.update(Buffer.from('a'))
  t.equal(digester.digest(), digestOf(Buffer.from('a')))
  const copy = digester.copy()
  digester.update(Buffer.from('b'))
  copy.update(Buffer.from('c'))
  t.equal(digester.digest(), digestOf(Buffer.from('ab')))
  t.equal(copy.digest(), digestOf(Buffer.from('ac')))
  t.equal(copy.algorithm, 'sha256')
})
