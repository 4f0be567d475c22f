import t from 'tap'
import { formatRegExp, parseRegExp } from '../../server/config/regexp.ts'

function matches(pattern: string, text: string): boolean {
  const compiled = parseRegExp(pattern)
  if (typeof compiled === 'string') throw new Error(compiled)
  return compiled.test(text)
}

t.test('patterns as the documents of registry:2 write them match what they mean there', async t => {
  const pattern = '^https?://([^/]+\\.)*example\\.com/'
  t.ok(matches(pattern, 'https://cdn.example.com/layer'))
  t.notOk(matches(pattern, 'https://example.com.evil.org/'))
})

t.test("Go's own spellings are understood", async t => {
  t.ok(matches('(?i)^HTTPS://', 'https://example.com'))
  t.ok(matches('\\Ahttps://my\\-host\\z', 'https://my-host'))
  t.ok(matches('^(?P<scheme>https)://', 'https://example.com'))
  t.ok(matches('^https\\:\\/\\/[a\\-z]+$', 'https://z-a'))
})

t.test('what JavaScript has not is refused instead of read as something else', async t => {
  for (const pattern of ['[[:alpha:]]+', '\\Qa.b\\E', 'a(?i)b', '(', 'a**', '\\pL']) {
    t.type(parseRegExp(pattern), 'string', pattern)
  }
})

t.test('what is written is read back as the same', async t => {
  for (const pattern of ['^https?://([^/]+\\.)*example\\.com/', '(?i)^a/b$']) {
    const compiled = parseRegExp(pattern)
    if (typeof compiled === 'string') throw new Error(compiled)
    t.equal(formatRegExp(compiled), pattern)
  }
})
