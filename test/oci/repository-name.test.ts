import t from 'tap'
import { isRepositoryName, namespaceOf, parseRepositoryName } from '../../server/oci/repository-name.ts'

const good = [
  'a',
  '0',
  'nginx',
  'team/app',
  'a/b/c/d/e/f/g/h',
  'a.b',
  'a_b',
  'a__b',
  'a-b',
  'a--b',
  'a-----b',
  'a.b_c__d-e--f',
  // Words of the API's own paths are names like any other.
  'blobs',
  'manifests/tags/list',
  'blobs/uploads',
  'v2/v2',
  'a'.repeat(255),
  Array.from({ length: 128 }, () => 'a').join('/'),
]

const bad = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  '../a',
  'a/../b',
  'a/./b',
  'A',
  'a/B',
  'é',
  'а', // Cyrillic
  'ａ', // full width
  'a\u200db',
  '😀',
  'a___b',
  'a..b',
  'a._b',
  'a.-b',
  '-a',
  'a-',
  '_a',
  'a_',
  '.a',
  'a.',
  'a/-b',
  'a b',
  ' a',
  'a\n',
  'a\0',
  'a\\b',
  'a%2fb',
  'a:b',
  'a@b',
  'a+b',
  'a*',
  '_catalog',
  '_oci/ext',
]

t.test('[1] a name of components of lower-case letters and digits with separators between them is taken', async t => {
  for (const name of good) {
    t.ok(isRepositoryName(name), name)
    t.equal(parseRepositoryName(name), name)
  }
})

t.test('[1] any other name is refused as NAME_INVALID', async t => {
  for (const name of bad) {
    t.notOk(isRepositoryName(name), JSON.stringify(name))
    t.throws(() => parseRepositoryName(name), { code: 'NAME_INVALID', status: 400 }, JSON.stringify(name))
  }
})

t.test('[3] a name of 256 characters is refused, and told how long it is', async t => {
  t.throws(() => parseRepositoryName('a'.repeat(256)), {
    code: 'NAME_INVALID',
    message: /at most 255 characters.* 256/,
  })
})

t.test('a very long name that almost is one is refused in no time', async t => {
  // A pattern that backtracks would take years.
  t.throws(() => parseRepositoryName(`${'a'.repeat(250)}!`), { code: 'NAME_INVALID' })
  t.throws(() => parseRepositoryName(`${'a-'.repeat(125)}!`), { code: 'NAME_INVALID' })
  t.throws(() => parseRepositoryName('a'.repeat(1_000_000)), {
    code: 'NAME_INVALID',
    detail: { name: 'a'.repeat(300) },
  })
})

t.test('the namespace is the first component, or library where there is one only', async t => {
  t.equal(namespaceOf(parseRepositoryName('nginx')), 'library')
  t.equal(namespaceOf(parseRepositoryName('team/app')), 'team')
  t.equal(namespaceOf(parseRepositoryName('a/b/c')), 'a')
})
