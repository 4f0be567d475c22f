import { randomUUID } from 'node:crypto'
import { requestBytes } from './raw.ts'

/** Requests that no honest client sends. */
export interface Hostile {
  what: string
  pieces: Buffer[]
  methods: string[]
  after?: 'stay' | 'end' | 'cut'
  /**
   * `refused`: only a 4xx will do; `harmless`: anything but a write; `write`: it may well be let in, and changes nothing
   * that the test looks at; `silence`: as `refused`, but the connection may also just end.
   */
  expect: 'refused' | 'harmless' | 'write' | 'silence'
}

export interface Target {
  /** A repository that is there, with the tag `latest`. */
  repository: string
  /** A blob and a manifest of it. */
  blob: string
  manifest: { bytes: Buffer; digest: string; type: string }
  /** Locations of uploads under way in it, paths only. */
  uploads: readonly string[]
}

type Headers = readonly (readonly [string, string])[]

function one(
  expect: Hostile['expect'],
  method: string,
  path: string,
  options: { headers?: Headers; body?: Buffer | string; length?: boolean } = {},
): Hostile {
  const headers = (options.headers ?? []).map(([name, value]) => `${name}: ${value}`).join(' ')
  return {
    what: `${method} ${path.slice(0, 120)} ${headers.slice(0, 120)}`,
    pieces: [requestBytes(method, path, options)],
    methods: [method],
    expect,
  }
}

const nul = '%00'
/** A text as the list of its words. */
const words = (text: string) => text.trim().split(/\s+/)
const long = (length: number) => 'a'.repeat(length)

/** None of these is the name of a repository. */
const badNames = [
  ...words(`
    .. ../.. %2e%2e . A UPPER/case a//b /a a/ -a a- a..b a___b _a a_ .a a${nul}b a%2fb %2fetc%2fpasswd \xe4 %C3%A4
    %ff % %zz %u0041 a'b a"b a;b a%20b $(id) \`id\` a'%3b%20drop%20table%20tags%3b-- a* a%3fb a%23b \\..\\ a\\b
    {a} <script> a:b a@b library/../../../etc/passwd a/./b a/../b %2e%2e%2f%2e%2e%2fetc a%0d%0ab a%0ab a+b a=b a&b
    ~a a! %F0%9F%90%B3 %EF%BC%8E%EF%BC%8E %c0%ae%c0%ae a/- a/b_`),
  '\xa0',
  long(256),
  `${'a/'.repeat(200)}a`,
  long(9000),
]

const badTags = [
  ...words(`
    ..%2f..%2fetc .. . .a -a - a%20b a${nul} % %zz %ff \xe4 %C3%A4 a%2fb a\\b a* a+b a=b a%3fb a%23b $(id) \`id\`
    a'b a"b <b> a,b a;b a~b a@b %F0%9F%90%B3 %2e%2e %2e a%0d%0ab a%0a ! ( {} [] a|b a^b a%25 '%20or%201=1--`),
  long(129),
  long(9000),
  nul,
]

const hex = '0123456789abcdef'.repeat(4)
const badDigests = [
  ...words(`
    sha256: sha256:zz sha256:${hex}0 sha512:${hex} SHA256:${hex} :${hex} sha256::${hex} sha256%3a%3a${hex}
    sha256:../../../etc/passwd sha256:${hex}%0a sha256:${hex}%00 sha256+b64:${hex} sha256:${hex}%2f %73ha256:
    __proto__:${hex} constructor:${hex}`),
  `sha256:${hex.toUpperCase()}`,
  `sha256:${hex.slice(1)}`,
  `md5:${hex.slice(32)}`,
  `sha384:${hex}${hex.slice(32)}`,
  `sha256:${nul}${hex.slice(3)}`,
  `sha256:${long(9000)}`,
  `sha256:..%2f..%2f${hex.slice(8)}`,
  `sha256:%67${hex.slice(1)}`,
]

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']
const digest = `sha256:${hex}`

/** Names that are none, in every route, with every method. */
function names({ manifest }: Target): Hostile[] {
  const shapes = [
    'tags/list',
    'manifests/latest',
    `manifests/${digest}`,
    `blobs/${digest}`,
    'blobs/uploads/',
    `blobs/uploads/${randomUUID()}`,
    `referrers/${digest}`,
  ]
  return badNames.flatMap(name =>
    shapes.flatMap(shape =>
      methods.map(method =>
        one(
          'refused',
          method,
          `/v2/${name}/${shape}`,
          method === 'PUT' ? { headers: [['Content-Type', manifest.type]], body: manifest.bytes } : {},
        ),
      ),
    ),
  )
}

function references({ repository, manifest, blob }: Target): Hostile[] {
  const base = `/v2/${repository}`
  const headers: Headers = [['Content-Type', manifest.type]]
  return [
    ...badTags.flatMap(tag => [
      one('refused', 'GET', `${base}/manifests/${tag}`),
      one('refused', 'HEAD', `${base}/manifests/${tag}`),
      one('refused', 'DELETE', `${base}/manifests/${tag}`),
      one('refused', 'PUT', `${base}/manifests/${tag}`, { headers, body: manifest.bytes }),
      one('refused', 'PUT', `${base}/manifests/${manifest.digest}?tag=good&tag=${tag}`, {
        headers,
        body: manifest.bytes,
      }),
    ]),
    ...badDigests.flatMap(bad => [
      ...['manifests', 'blobs', 'referrers'].map(route => one('refused', 'GET', `${base}/${route}/${bad}`)),
      ...['manifests', 'blobs'].map(route => one('refused', 'DELETE', `${base}/${route}/${bad}`)),
      one('refused', 'PUT', `${base}/manifests/${bad}`, { headers, body: manifest.bytes }),
      one('refused', 'POST', `${base}/blobs/uploads/?digest=${bad}`, { body: 'bytes' }),
      one('refused', 'POST', `${base}/blobs/uploads/?mount=${bad}&from=${repository}`),
    ]),
    // Digests that are well formed, and are not those of the content.
    one('refused', 'PUT', `${base}/manifests/${digest}`, { headers, body: manifest.bytes }),
    one('refused', 'PUT', `${base}/manifests/${blob}`, { headers, body: manifest.bytes }),
    one('refused', 'POST', `${base}/blobs/uploads/?digest=${digest}`, { body: 'bytes' }),
    one('refused', 'DELETE', `${base}/blobs/${digest}`),
    one('refused', 'DELETE', `${base}/manifests/${digest}`),
    one('refused', 'DELETE', `${base}/manifests/absent`),
    ...['', '?', '?digest=', '?digest', `?Digest=${digest}`, `?digest[]=${digest}`].map(query =>
      one('refused', 'PUT', `${base}/blobs/uploads/${randomUUID()}${query}`, { body: 'bytes' }),
    ),
    ...badNames.map(name => one('harmless', 'POST', `${base}/blobs/uploads/?mount=${digest}&from=${name}`)),
  ]
}

const badRanges = [
  ...words(`
    bytes= bytes=- bytes=a-b bytes=9-0 bytes=-0 bytes=99999999999999999999- bytes=0-18446744073709551616 bytes=--1
    bytes=1--1 chars=0-1 bytes:0-1 0-1 bytes=0-1-2 bytes=0x0-0x1 bytes=0.5-1 bytes=1e1- bytes=+0-1 bytes=\xb2-
    bytes=0-0, bytes=,0-0 bytes=,,, bytes=0-0;1-1 bytes=-99999999999999999999 bytes=0-,0-,0-,0- bytes = ,
    bytes=NaN-`),
  'bytes 0-1',
  `bytes=${Array.from({ length: 1000 }, (_, at) => `${at}-${at}`).join(',')}`,
  `bytes=${'0-0,'.repeat(60)}0-0`,
  `bytes=${'9'.repeat(5000)}-`,
  `bytes=${' '.repeat(3000)}0-1`,
]

const badContentRanges = [
  ...words(`
    a-b -1 0- - 5-10 0-9 1-5 18446744073709551615-18446744073709551620 0-99999999999999999999 0--4 0-4-8 0x0-0x4
    +0-4 0.0-4 0-4; 0-4,5-9 bytes=0-4/-1 \xb2-4 00000000000000000000-4 4-0`),
  'bytes 5-2/3',
  '',
  'bytes */5',
  '0 - 4',
  'items 0-4',
  `0-${'4'.repeat(4000)}`,
]

const badNumbers = [
  ...words(`
    -1 abc 1e9 00 999999999999999999999999 1.5 %201 %2b1 0x1 NaN Infinity %EF%BC%91 1%0d%0a 1;2 1,2 true null
    __proto__ -0 1_000 %ff 9007199254740993`),
  '',
  nul,
  long(5000),
]
const badLasts = [
  ...words(`
    a${nul} %ff % %zz .. '%20or%201=1-- %F0%9F%90%B3 %0d%0aX-Injected:%20yes %3cscript%3e %25 %5c _ ~`),
  nul,
  long(5000),
]

function lists({ repository, manifest }: Target): Hostile[] {
  const paths = ['/v2/_catalog', `/v2/${repository}/tags/list`, `/v2/${repository}/referrers/${manifest.digest}`]
  return paths.flatMap(path => [
    ...badNumbers.map(n => one('harmless', 'GET', `${path}?n=${n}`)),
    ...badLasts.map(last => one('harmless', 'GET', `${path}?n=1&last=${last}`)),
    ...badLasts.map(value => one('harmless', 'GET', `${path}?artifactType=${value}`)),
    ...[
      'n=1&n=2',
      'n[]=1',
      'n[a]=1',
      'n=1&last=a&last=b',
      '&&&',
      '=',
      '?n=1',
      'n',
      '__proto__[a]=1',
      'last',
      'constructor=1',
    ].map(query => one('harmless', 'GET', `${path}?${query}`)),
    one('harmless', 'GET', `${path}?${'a=b&'.repeat(2000)}`),
  ])
}

/** What a proxy might say of itself, or somebody who passes for one; the answer shows a URL made of it. */
const badForwards: Headers = [
  ...[
    'a b',
    '"unbalanced',
    ';;;',
    'for',
    '=',
    'host=',
    'host="a b"',
    'host=<script>',
    'proto=javascript;host=a',
    'host=a/b',
    'host=a\\b',
    'host="a\\"b"',
    '\xff\xfe',
    'host=a,host=b',
    long(8000),
    'host=a%0d%0ab',
  ].map(value => ['Forwarded', value] as const),
  ...[
    'a b',
    'a/b',
    '<script>',
    'a,b',
    '',
    ' ',
    '"',
    'a\tb',
    '\xff',
    'user@host',
    'host#',
    'host?x',
    '[::1',
    ']',
    long(8000),
    '%0d%0a',
  ].map(value => ['X-Forwarded-Host', value] as const),
  ...['javascript', 'file', '', 'http,https', 'HTTPS', '<b>', 'http:', long(8000)].map(
    value => ['X-Forwarded-Proto', value] as const,
  ),
  ...['a b', 'a/b', '<script>', '[::1', 'host:port', ':::', '\xff', 'user@host', long(8000)].map(
    value => ['Host', value] as const,
  ),
]

function headers({ repository, blob, uploads }: Target): Hostile[] {
  const base = `/v2/${repository}`
  const garbage = [
    '"',
    '"unbalanced',
    'W/',
    'W/""',
    '""',
    ',,,',
    '*,"a"',
    '\xff',
    long(8000),
    '<>',
    `"${digest}`,
    'null',
  ]
  return [
    ...badRanges.flatMap(range => [
      one('harmless', 'GET', `${base}/blobs/${blob}`, { headers: [['Range', range]] }),
      one('harmless', 'HEAD', `${base}/blobs/${blob}`, { headers: [['Range', range]] }),
      one('harmless', 'GET', `${base}/manifests/latest`, { headers: [['Range', range]] }),
    ]),
    ...badContentRanges.flatMap(range =>
      uploads
        .slice(0, 1)
        .flatMap(upload => [
          one('refused', 'PATCH', upload, { headers: [['Content-Range', range]], body: 'bytes' }),
          one('refused', 'PUT', `${upload}?digest=${digest}`, { headers: [['Content-Range', range]], body: 'bytes' }),
        ]),
    ),
    ...badForwards.flatMap(header => [
      one('write', 'POST', `${base}/blobs/uploads/`, { headers: [header] }),
      one('harmless', 'GET', `${base}/tags/list?n=1`, { headers: [header] }),
      one('harmless', 'GET', '/v2/_catalog?n=1', { headers: [header] }),
    ]),
    ...[
      'If-Match',
      'If-None-Match',
      'If-Range',
      'If-Modified-Since',
      'Accept',
      'Accept-Encoding',
      'Authorization',
      'Cookie',
      'Origin',
      'User-Agent',
      'X-Request-Id',
      'Content-Type',
      'Content-Encoding',
    ].flatMap(name =>
      garbage.flatMap(value => [
        one('harmless', 'GET', `${base}/manifests/latest`, { headers: [[name, value]] }),
        one('harmless', 'GET', `${base}/blobs/${blob}`, { headers: [[name, value]] }),
      ]),
    ),
    ...['100-continue, x', 'x', '', '200-ok'].map(value =>
      one('harmless', 'PUT', `${base}/manifests/v9`, { headers: [['Expect', value]], body: '{}' }),
    ),
    ...['websocket', 'h2c', 'TLS/1.0', ',', long(4000)].map(value =>
      one('harmless', 'GET', '/v2/', {
        headers: [
          ['Connection', 'Upgrade'],
          ['Upgrade', value],
        ],
      }),
    ),
    ...['PATCH', 'PUT', 'DELETE'].map(method =>
      one('harmless', 'POST', `${base}/blobs/uploads/`, { headers: [['X-HTTP-Method-Override', method]] }),
    ),
  ]
}

/** Requests about uploads that are none, or not the client's. */
function uploadIds({ repository, uploads }: Target): Hostile[] {
  const ids = [
    randomUUID(),
    randomUUID().toUpperCase(),
    '00000000-0000-0000-0000-000000000000',
    'x',
    '..',
    '..%2f..%2fetc',
    `${randomUUID()}x`,
    nul,
    '%ff',
    '%',
    long(9000),
    "'%20or%201=1--",
    '-',
    '{}',
    randomUUID().replaceAll('-', ''),
  ]
  const foreign = uploads.map(upload => upload.replace(`/v2/${repository}/`, '/v2/somebody/else/'))
  return [...ids.map(id => `/v2/${repository}/blobs/uploads/${id}`), ...foreign].flatMap(path => [
    one('refused', 'GET', path),
    one('refused', 'HEAD', path),
    one('refused', 'PATCH', path, { body: 'bytes' }),
    one('refused', 'PUT', `${path}?digest=${digest}`, { body: 'bytes' }),
    one('refused', 'DELETE', path),
  ])
}

const oddPaths = [
  ...words(`
    /v2/../../etc/passwd /v2/.. /v2/%2e%2e/%2e%2e/etc/passwd /v2// //v2/ /v2/% /v2/_catalog/ /v2/_catalog/..
    /v2/_catalog%00 /v2/_catalog/x /v2/_x /.outside /.outside/v2/ /v1/_ping /v3/ /v2 /V2/ /v2/tags/list
    /v2/manifests/latest /v2/blobs/uploads/ /v2/x /v2/x/y/z /etc/passwd /%2e%2e/ /\\..\\ /v2/a/tags
    /v2/a/tags/list/ /v2/a/tags/list/x /v2/a/manifests /v2/a/manifests/ /v2/a/blobs/ /v2/a/blobs /v2/a/referrers/
    /v2/%20/tags/list /v2/%2f/tags/list /favicon.ico /robots.txt /.git/config /.env /metrics /debug/pprof/
    /index.php /cgi-bin/ /api/v1/ /livez/x /readyz/.. /; /? /# /* * ? v2/ http://evil.example/v2/x/y http://
    ftp://a/v2/ //evil.example/%2f..`),
  `/${long(20_000)}`,
  `/v2/${'../'.repeat(3000)}`,
  `/v2/${'%2e%2e%2f'.repeat(1000)}`,
  `/${'/'.repeat(10_000)}`,
]

export function hostilePaths(target: Target): Hostile[] {
  return [
    ...names(target),
    ...references(target),
    ...lists(target),
    ...headers(target),
    ...uploadIds(target),
    ...oddPaths.flatMap(path => methods.map(method => one('harmless', method, path))),
  ]
}
