import t from 'tap'
import { isJsonObject, parseJsonObject } from '../../server/oci/json.ts'

const parse = (text: string) => parseJsonObject(Buffer.from(text))
const refused = (message: RegExp) => ({ code: 'MANIFEST_INVALID', status: 400, message })

t.test('a JSON object comes out as it is', async t => {
  t.same(parse('{}'), {})
  t.same(parse(' \t\r\n{ "a" : [ 1 , { "a" : "a" } , "a" ] , "b" : { "a" : null } } \n'), {
    a: [1, { a: 'a' }, 'a'],
    b: { a: null },
  })
  t.same(parse('{"a":"{\\"a\\":1,\\"a\\":2}"}'), { a: '{"a":1,"a":2}' }, 'what is in a string is no structure')
  t.same(parse('{"\\\\":1,"\\"":2,"\\\\\\"":3}'), { '\\': 1, '"': 2, '\\"': 3 })
})

t.test('[83] what is not JSON is refused', async t => {
  const texts = [
    '',
    ' ',
    '{',
    '}',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    "{'a':1}",
    '{"a":1}x',
    '{a:1}',
    '{"a":NaN}',
    '{"a":01}',
  ]
  const hostile = [
    '"',
    '{"',
    '{"\\',
    '"\\"',
    '{"a":"\t"}',
    '{"a":1}{"b":2}',
    '\0',
    '/* */{}',
    '<html>',
    ']'.repeat(1000),
  ]
  for (const text of [...texts, ...hostile])
    t.throws(() => parse(text), refused(/^manifest invalid: /), JSON.stringify(text.slice(0, 60)))
})

t.test('[83] JSON that is no object is refused', async t => {
  for (const text of ['null', 'true', '1', '"a"', '[]', '[{}]'])
    t.throws(() => parse(text), refused(/JSON object/), JSON.stringify(text))
})

t.test('bytes that are not UTF-8 are refused, wherever they stand', async t => {
  const bad = [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80]]
  for (const bytes of bad) {
    for (const [before, after] of [
      ['{"a":"', '"}'],
      ['{"', '":1}'],
      ['', '{}'],
      ['{}', ''],
    ] as const) {
      const body = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
      t.throws(() => parseJsonObject(body), refused(/not UTF-8/), body.toString('hex'))
    }
  }
})

t.test('other encodings and byte order marks are refused', async t => {
  t.throws(() => parse('\ufeff{}'), refused(/./))
  t.throws(() => parseJsonObject(Buffer.from('{}', 'utf16le')), refused(/./))
  t.throws(() => parseJsonObject(Buffer.from('\ufeff{}', 'utf16le')), refused(/not UTF-8/))
})

t.test('a key that stands twice in one object is refused, at any depth', async t => {
  const texts = [
    '{"a":1,"a":1}',
    '{"a":1,"b":2,"a":3}',
    '{"a":{"b":1,"b":2}}',
    '{"a":[{"b":1},{"b":1,"c":2,"b":3}]}',
    '{"a":{"x":1},"b":[1,2],"a":{"x":1}}',
    '{"a" :1,"a"\n\t :2}',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
  ]
  for (const text of texts) t.throws(() => parse(text), refused(/stands twice/), text)
})

t.test('a key is the same key when it is written with escapes', async t => {
  const texts = [
    String.raw`{"a":1,"\u0061":2}`,
    String.raw`{"\u0061":1,"a":2}`,
    String.raw`{"config":1,"\u0063onfi\u0067":2}`,
    String.raw`{"é":1,"\u00e9":2}`,
    String.raw`{"\u00E9":1,"\u00e9":2}`,
    String.raw`{"😀":1,"\ud83d\ude00":2}`,
    String.raw`{"a/b":1,"a\/b":2}`,
    String.raw`{"\ud800":1,"\uD800":2}`,
    String.raw`{"\"":1,"\u0022":2}`,
    String.raw`{"\u0000":1,"\u0000":2}`,
  ]
  for (const text of texts) t.throws(() => parse(text), refused(/stands twice/), text)
})

t.test('equal keys of different objects, and equal values, are no duplicates', async t => {
  t.same(parse('{"a":{"a":{"a":"a"}},"b":["a","a"],"c":"a","d":"a"}'), {
    a: { a: { a: 'a' } },
    b: ['a', 'a'],
    c: 'a',
    d: 'a',
  })
  t.same(parse(String.raw`{"a\\":1,"a":2}`), { 'a\\': 1, a: 2 })
})

t.test('a key named __proto__ changes no prototype', async t => {
  const value = parse('{"__proto__":{"config":1}}')
  t.equal(Object.getPrototypeOf(value), Object.prototype)
  t.equal(value['config'], undefined)
})

const arrays = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
const objects = (depth: number) => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1)

t.test('nesting is bounded: 64 levels are read, 65 are not, 10,000 and a million harm nobody', async t => {
  for (const nested of [arrays, objects]) {
    t.ok(isJsonObject(parse(nested(64))))
    for (const depth of [65, 10_000, 1_000_000]) t.throws(() => parse(nested(depth)), refused(/nested/), String(depth))
  }
  t.throws(() => parse('['.repeat(4_000_000)), refused(/nested/))
  t.ok(isJsonObject(parse(`{"a":[${'[],'.repeat(10_000)}[]]}`)), 'beside each other is not nested')
})

t.test('four megabytes of the worst kind take no more than a moment', async t => {
  const size = 4 * 1024 * 1024
  const worst = [
    `{${Array.from({ length: size / 16 }, (_, at) => `"${at.toString(36)}":1`).join(',')}}`,
    `{"a"${' '.repeat(size)}:1}`,
    `{"${'\\u0061'.repeat(size / 6)}":1}`,
    `{"a":"${'\\"'.repeat(size / 2)}"}`,
    `{"a":["${'","'.repeat(size / 3)}"]}`,
    `{"a":"b"${' '.repeat(size)}`,
  ]
  for (const [at, text] of worst.entries()) {
    const start = performance.now()
    try {
      parse(text)
    } catch (error) {
      t.match(error, { code: 'MANIFEST_INVALID' })
    }
    t.ok(performance.now() - start < 3000, `text ${at}`)
  }
})
