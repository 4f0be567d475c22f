import t from 'tap'
import { isTag, parseReference, parseTag } from '../../server/oci/reference.ts'

const goodTags = [
  'latest',
  'v1.2.3',
  'A',
  '_',
  '0',
  '1.0-rc.1_build',
  '__init__',
  'a..b',
  'a--',
  `sha256-${'0'.repeat(64)}.sig`,
  'a'.repeat(128),
]

const badTags = [
  '',
  ' ',
  '.',
  '..',
  '.a',
  '-a',
  'a b',
  'a/b',
  'a+b',
  'a@b',
  'a%20b',
  'é',
  'ａ',
  'a\n',
  'a\0',
  'a'.repeat(129),
  'a'.repeat(100_000),
]

t.test('[2] a tag has 1 to 128 characters and begins with a letter, a digit or an underscore', async t => {
  for (const tag of goodTags) {
    t.ok(isTag(tag), tag)
    t.same(parseReference(tag), { kind: 'tag', tag })
  }
})

t.test('[2] anything else in the place of a tag is refused as MANIFEST_INVALID', async t => {
  for (const tag of badTags) {
    const shown = JSON.stringify(tag.slice(0, 140))
    t.notOk(isTag(tag), shown)
    t.throws(() => parseTag(tag), { code: 'MANIFEST_INVALID', status: 400 }, shown)
    t.throws(() => parseReference(tag), { code: 'MANIFEST_INVALID' }, shown)
  }
})

t.test('[2] a text with a colon is meant as a digest, and judged as one', async t => {
  const digest = `sha256:${'0'.repeat(64)}`
  t.same(parseReference(digest), { kind: 'digest', digest })
  for (const text of [':', 'a:b', 'sha256:0', `md5:${'0'.repeat(32)}`, `${digest}:latest`]) {
    t.throws(() => parseReference(text), { code: 'DIGEST_INVALID', status: 400 }, text)
  }
})
