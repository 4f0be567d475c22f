import t from 'tap'
import { parseAuthorization } from '../../server/access/basic.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

t.test('the header Authorization is understood as RFC 7617 and RFC 6750 have it', async t => {
  const rows: [string | undefined, ReturnType<typeof parseAuthorization>][] = [
    [undefined, { scheme: 'none' }],
    ['', { scheme: 'none' }],
    [basic('alice:secret'), { scheme: 'basic', name: 'alice', secret: 'secret' }],
    [basic('alice:with:colons:'), { scheme: 'basic', name: 'alice', secret: 'with:colons:' }],
    [basic('alice:'), { scheme: 'basic', name: 'alice', secret: '' }],
    [basic(':'), { scheme: 'basic', name: '', secret: '' }],
    [basic('jörg:schlüssel 🔑'), { scheme: 'basic', name: 'jörg', secret: 'schlüssel 🔑' }],
    [basic('$app:TOKEN').replace('Basic', 'bAsIc'), { scheme: 'basic', name: '$app', secret: 'TOKEN' }],
    [`Basic    ${basic('a:b').slice(6)}  `, { scheme: 'basic', name: 'a', secret: 'b' }],
    ['Bearer a.b.c', { scheme: 'bearer', token: 'a.b.c' }],
    ['bearer a.b.c', { scheme: 'bearer', token: 'a.b.c' }],
  ]
  for (const [header, expected] of rows) t.strictSame(parseAuthorization(header), expected, String(header))
})

t.test('what is none of these is no one, and is told from nothing', async t => {
  const headers = [
    'Basic',
    'Basic ',
    'Bearer',
    'Bearer  ',
    'Bearer two words',
    'Digest username="alice"',
    basic('no colon'),
    // Postgres has no text with a NUL in it.
    basic('alice\0:secret'),
    basic('alice:sec\0ret'),
    `Bearer ${'a'.repeat(65 * 1024)}`,
    ' ',
  ]
  for (const header of headers) t.strictSame(parseAuthorization(header), { scheme: 'unknown' }, header.slice(0, 60))
})
