import { randomBytes } from 'node:crypto'
import type { Hostile, Target } from './hostile-paths.ts'
import { requestBytes } from './raw.ts'

/** Bytes that are hardly HTTP, and bodies that are not as long as they were said to be. */

type Framing = readonly [what: string, headers: readonly string[], body: string, after?: 'end' | 'cut']

const framings: readonly Framing[] = [
  ...['-1', 'abc', '5, 5', '5,6', '99999999999999999999999', '0x10', '+5', '1e3', '', '5;', '٥', '5\x00', '5.0'].map(
    length => [`Content-Length: ${length}`, [`Content-Length: ${length}`], '{}xxx'] as const,
  ),
  ['two lengths', ['Content-Length: 5', 'Content-Length: 6'], '{}xxxx'],
  ['length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['chunks and length', ['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'],
  ...[
    'chunked, identity',
    'xchunked',
    'gzip',
    'chunked;q=1',
    '"chunked"',
    'chunked\x0b',
    'identity',
    'chunked, gzip',
    ',',
    'chunke',
  ].map(
    coding =>
      [`Transfer-Encoding: ${coding}`, [`Transfer-Encoding: ${coding}`], '2\r\n{}\r\n0\r\n\r\n', 'end'] as const,
  ),
  ...['zz', '-1', 'FFFFFFFFFFFFFFFFFFFF', '0x2', '+2', ' ', '', '2 2', '2\x00', '\xff'].map(
    size => [`a chunk of ${size}`, ['Transfer-Encoding: chunked'], `${size}\r\n{}\r\n0\r\n\r\n`, 'end'] as const,
  ),
  ['a chunk longer than its size', ['Transfer-Encoding: chunked'], '1\r\n{}\r\n0\r\n\r\n', 'end'],
  ['a chunk shorter than its size', ['Transfer-Encoding: chunked'], '9\r\n{}\r\n0\r\n\r\n', 'end'],
  ['chunks without lines', ['Transfer-Encoding: chunked'], '2{}0', 'end'],
  ['chunks that end early', ['Transfer-Encoding: chunked'], '2\r\n{}\r\n', 'end'],
  ['chunks that are cut off', ['Transfer-Encoding: chunked'], '2\r\n{}\r\n', 'cut'],
  ['a size that is cut off', ['Transfer-Encoding: chunked'], 'FF', 'cut'],
  [
    'a chunk with an endless extension',
    ['Transfer-Encoding: chunked'],
    `2;${'x'.repeat(40_000)}\r\n{}\r\n0\r\n\r\n`,
    'end',
  ],
  ['an endless trailer', ['Transfer-Encoding: chunked'], `2\r\n{}\r\n0\r\n${'X: y\r\n'.repeat(10_000)}\r\n`, 'end'],
  ['a body that ends early', ['Content-Length: 1000'], '{}', 'end'],
  ['a body that is cut off', ['Content-Length: 1000'], '{}', 'cut'],
  ['a body that never begins, and an end', ['Content-Length: 1000'], '', 'end'],
  ['a body that never begins, and a cut', ['Content-Length: 1000'], '', 'cut'],
  ['a terabyte that ends early', ['Content-Length: 1099511627776'], '{}', 'end'],
  ['a terabyte that is cut off', ['Content-Length: 1099511627776'], 'x'.repeat(100_000), 'cut'],
]

/** Every wrong framing on every request that takes a body. None may be taken for the whole of something. */
function bodies({ repository, manifest, uploads }: Target): Hostile[] {
  const base = `/v2/${repository}`
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`
  const lines: readonly (readonly [string, string])[] = [
    ['PUT', `${base}/manifests/framed`],
    ['PUT', `${base}/manifests/${manifest.digest}`],
    ['POST', `${base}/blobs/uploads/?digest=${digest}`],
    ...uploads.slice(1, 2).map(upload => ['PUT', `${upload}?digest=${digest}`] as const),
    ['DELETE', `${base}/manifests/absent`],
    ['GET', `${base}/manifests/absent`],
  ]
  return lines.flatMap(([method, path]) =>
    framings.map(([what, headers, body, after]) => ({
      what: `${method} ${path.slice(0, 60)} with ${what.slice(0, 80)}`,
      pieces: [
        Buffer.from(
          `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${manifest.type}\r\n${headers.join('\r\n')}\r\n\r\n`,
          'latin1',
        ),
        Buffer.from(body, 'latin1'),
      ],
      methods: [method],
      after: after ?? 'stay',
      expect: 'silence' as const,
    })),
  )
}

/** PATCHes that break off: what came counts, and nothing else does. */
function brokenParts({ uploads }: Target): Hostile[] {
  return uploads.slice(2).flatMap(upload =>
    (['end', 'cut'] as const).map(after => ({
      what: `PATCH that breaks off: ${after}`,
      pieces: [
        Buffer.from(`PATCH ${upload} HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n`),
        ...Array.from({ length: 5 }, () => randomBytes(10_000)),
      ],
      methods: ['PATCH'],
      after,
      expect: 'silence' as const,
    })),
  )
}

const kib = (text: string) => text.repeat(1024)

function heads(): Hostile[] {
  const host = 'Host: a\r\n'
  const texts: Record<string, string> = {
    'a URL of a mebibyte': `GET /v2/${kib('a'.repeat(1024))} HTTP/1.1\r\n${host}\r\n`,
    'a query of a mebibyte': `GET /v2/?${kib('a'.repeat(1024))} HTTP/1.1\r\n${host}\r\n`,
    'a header of a mebibyte': `GET /v2/ HTTP/1.1\r\n${host}X: ${kib('a'.repeat(1024))}\r\n\r\n`,
    'a header of 20 KiB': `GET /v2/ HTTP/1.1\r\n${host}X: ${kib('a'.repeat(20))}\r\n\r\n`,
    'a header name of 20 KiB': `GET /v2/ HTTP/1.1\r\n${host}${kib('a'.repeat(20))}: x\r\n\r\n`,
    'ten thousand headers': `GET /v2/ HTTP/1.1\r\n${host}${'X: y\r\n'.repeat(10_000)}\r\n`,
    'no host': 'GET /v2/ HTTP/1.1\r\n\r\n',
    'two hosts': 'GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'a header without a colon': `GET /v2/ HTTP/1.1\r\n${host}nonsense\r\n\r\n`,
    'a header without a name': `GET /v2/ HTTP/1.1\r\n${host}: x\r\n\r\n`,
    'a blank before the colon': `GET /v2/ HTTP/1.1\r\n${host}X : y\r\n\r\n`,
    'a folded header': `GET /v2/ HTTP/1.1\r\n${host}X: y\r\n z\r\n\r\n`,
    'a NUL in a header': `GET /v2/ HTTP/1.1\r\n${host}X: a\x00b\r\n\r\n`,
    'a NUL in the path': `GET /v2/\x00 HTTP/1.1\r\n${host}\r\n`,
    'a bare carriage return': `GET /v2/ HTTP/1.1\r\n${host}X: a\rb\r\n\r\n`,
    'bare line feeds': 'GET /v2/ HTTP/1.1\nHost: a\n\n',
    'a blank in the path': `GET /v2/a b/tags/list HTTP/1.1\r\n${host}\r\n`,
    'a tab in the path': `GET /v2/a\tb/tags/list HTTP/1.1\r\n${host}\r\n`,
    'bytes beyond ASCII in the path': `GET /v2/\xff\xfe HTTP/1.1\r\n${host}\r\n`,
    'two blanks': `GET  /v2/ HTTP/1.1\r\n${host}\r\n`,
    'no target': `GET HTTP/1.1\r\n${host}\r\n`,
    'no version': `GET /v2/\r\n${host}\r\n`,
    'version 0.9': `GET /v2/ HTTP/0.9\r\n${host}\r\n`,
    'version 9.9': `GET /v2/ HTTP/9.9\r\n${host}\r\n`,
    'version 2.0': `GET /v2/ HTTP/2.0\r\n${host}\r\n`,
    'version x': `GET /v2/ HTTP/x\r\n${host}\r\n`,
    'another protocol': `GET /v2/ RTSP/1.0\r\n${host}\r\n`,
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'an unknown method': `FROB /v2/ HTTP/1.1\r\n${host}\r\n`,
    'a method in lower case': `get /v2/ HTTP/1.1\r\n${host}\r\n`,
    'an endless method': `${kib('A'.repeat(20))} /v2/ HTTP/1.1\r\n${host}\r\n`,
    CONNECT: `CONNECT a:443 HTTP/1.1\r\n${host}\r\n`,
    'CONNECT without a port': `CONNECT / HTTP/1.1\r\n${host}\r\n`,
    'empty lines': '\r\n\r\n\r\n\r\nx\r\n\r\n',
    SSH: 'SSH-2.0-OpenSSH_9.2\r\n',
    'a line of JSON': '{"a":1}\r\n\r\n',
    'an unknown expectation': `PUT /v2/a/manifests/x HTTP/1.1\r\n${host}Expect: the worst\r\nContent-Length: 2\r\n\r\n`,
  }
  const given = Object.entries(texts).map(([what, text]) => ({
    what,
    pieces: [Buffer.from(text, 'latin1')],
    methods: ['GET'],
    after: 'end' as const,
    expect: /^(a folded|bytes beyond|two hosts|two blanks|no version|version|another protocol)/.test(what)
      ? ('harmless' as const)
      : ('silence' as const),
  }))
  const noise = Array.from({ length: 60 }, (_, index) => ({
    what: `${index * 40} random bytes`,
    pieces: [randomBytes(1 + index * 40)],
    methods: ['GET'],
    after: 'end' as const,
    expect: 'silence' as const,
  }))
  const hello = Buffer.concat([Buffer.from('160301020001000001fc0303', 'hex'), randomBytes(508)])
  const tls = {
    what: 'a TLS hello',
    pieces: [hello],
    methods: ['GET'],
    after: 'end' as const,
    expect: 'silence' as const,
  }
  // The first bytes of a request, and then nothing.
  const begun = Array.from({ length: 36 }, (_, index): Hostile => ({
    what: `the first ${index} bytes of a request`,
    pieces: [requestBytes('GET', '/v2/').subarray(0, index)],
    methods: ['GET'],
    after: index % 2 === 0 ? 'end' : 'cut',
    expect: 'silence' as const,
  }))
  return [...given, ...noise, tls, ...begun]
}

/** Requests that come before the answers to those before them, and one hidden in the body of another. */
function pipelines({ repository, manifest, blob }: Target): Hostile[] {
  const base = `/v2/${repository}`
  const get = requestBytes('GET', `${base}/blobs/${blob}`)
  const bad = requestBytes('GET', '/v2/UPPER/tags/list')
  const put = requestBytes('PUT', `${base}/manifests/piped`, { headers: [['Content-Type', manifest.type]], body: '{}' })
  const hidden = requestBytes('PUT', `${base}/manifests/smuggled`, {
    headers: [['Content-Type', manifest.type]],
    body: manifest.bytes,
  })
  return [
    { what: 'a hundred reads at once', ...many(100, [get], ['GET']), expect: 'harmless' },
    { what: 'a hundred refusals at once', ...many(100, [bad], ['GET']), expect: 'refused' },
    {
      what: 'reads, refusals and bad writes in turn',
      ...many(40, [get, bad, put], ['GET', 'GET', 'PUT']),
      expect: 'harmless',
    },
    {
      what: 'a write hidden behind a length and chunks',
      pieces: [smuggler(hidden, ['Content-Length: 4', 'Transfer-Encoding: chunked'])],
      methods: ['POST'],
      after: 'end',
      expect: 'silence',
    },
    {
      what: 'a write hidden behind chunks and a length',
      pieces: [smuggler(hidden, ['Transfer-Encoding: chunked', 'Content-Length: 5'])],
      methods: ['POST'],
      after: 'end',
      expect: 'silence',
    },
    {
      what: 'a write hidden behind an odd coding',
      pieces: [smuggler(hidden, ['Transfer-Encoding: xchunked', 'Content-Length: 5'])],
      methods: ['POST'],
      after: 'end',
      expect: 'silence',
    },
    {
      what: 'reads after what is not HTTP',
      pieces: [Buffer.concat([Buffer.from('nonsense\r\n\r\n'), get, get])],
      methods: ['GET'],
      expect: 'silence',
    },
    { what: 'reads whose client is gone at once', ...many(50, [get], ['GET']), after: 'cut', expect: 'silence' },
  ]
}

/** The same requests again and again, in one piece. */
function many(
  count: number,
  bytes: readonly Buffer[],
  methods: readonly string[],
): { pieces: Buffer[]; methods: string[] } {
  return {
    pieces: [Buffer.concat(Array.from({ length: count }, () => bytes).flat())],
    methods: Array.from({ length: count }, () => methods).flat(),
  }
}

function smuggler(hidden: Buffer, headers: readonly string[]): Buffer {
  return Buffer.concat([
    Buffer.from(`POST /v2/ HTTP/1.1\r\nHost: a\r\n${headers.join('\r\n')}\r\n\r\n0\r\n\r\n`),
    hidden,
  ])
}

export function hostileBytes(target: Target): Hostile[] {
  return [...bodies(target), ...brokenParts(target), ...heads(), ...pipelines(target)]
}
