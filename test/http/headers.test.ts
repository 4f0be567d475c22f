import { randomBytes } from 'node:crypto'
import t from 'tap'
import { commonHeaders } from '../../server/http/headers.ts'
import { digestOf } from '../../server/oci/digest.ts'
import { startRegistry } from '../helpers/registry.ts'

t.test('http.headers are on every response, whatever it is', async t => {
  const { url } = await startRegistry(t, {
    headers: { 'X-Frame-Options': ['DENY'], 'Strict-Transport-Security': ['max-age=1', 'preload'] },
  })
  const body = randomBytes(100)
  const digest = digestOf(body, 'sha256')
  const blob = `/v2/a/blobs/${digest}`
  const requests: [string, RequestInit, number][] = [
    [`/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body }, 201],
    ['/v2/a/blobs/uploads/', { method: 'POST' }, 202],
    [blob, {}, 200],
    [blob, { method: 'HEAD' }, 200],
    [blob, { headers: { range: 'bytes=0-9' } }, 206],
    [blob, { headers: { 'if-none-match': `"${digest}"` } }, 304],
    [blob, { headers: { 'if-match': '"other"' } }, 412],
    [blob, { headers: { range: 'bytes=900-' } }, 416],
    ['/v2/', {}, 200],
    ['/v2/', { method: 'OPTIONS' }, 405],
    ['/v2/', { method: 'DELETE' }, 405],
    ['/v2/a/manifests/none', {}, 404],
    ['/nowhere', {}, 404],
    ['/%zz', {}, 400],
    ['/v2/a/blobs/sha256:bad', {}, 400],
    ['/', {}, 200],
    ['/livez', {}, 200],
    ['/readyz', { method: 'HEAD' }, 200],
  ]
  const ids = new Set<string | null>()
  for (const [path, init, status] of requests) {
    const response = await fetch(url + path, init)
    const what = `${init.method ?? 'GET'} ${path}`
    t.equal(response.status, status, what)
    t.equal(response.headers.get('x-frame-options'), 'DENY', what)
    t.equal(response.headers.get('strict-transport-security'), 'max-age=1, preload', what)
    t.equal(response.headers.get('x-content-type-options'), 'nosniff', what)
    t.match(response.headers.get('x-request-id'), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, what)
    ids.add(response.headers.get('x-request-id'))
    await response.arrayBuffer()
  }
  t.equal(ids.size, requests.length, 'each request has an id of its own')
})

t.test('the id of a request is not the one that its client made up', async t => {
  const { url } = await startRegistry(t)
  const { headers } = await fetch(`${url}/v2/`, { headers: { 'x-request-id': 'mine', 'request-id': 'mine' } })
  t.not(headers.get('x-request-id'), 'mine')
})

t.test('what the operator sets wins over what Berth would send', async t => {
  const { url } = await startRegistry(t, { headers: { 'x-Content-Type-OPTIONS': ['sniff'] } })
  t.equal((await fetch(`${url}/v2/`)).headers.get('x-content-type-options'), 'sniff')
})

t.test('several values are several lines', async t => {
  t.match(commonHeaders({ 'X-A': ['1', '2'] }), { 'x-content-type-options': 'nosniff', 'x-a': ['1', '2'] })
})

t.test('a header that can not be sent is a fault at the start', async t => {
  for (const [headers, message] of [
    [{ 'X Frame': ['DENY'] }, /^http.headers: "X Frame" can not be sent/],
    [{ 'X-A': ['one\r\nX-B: two'] }, /^http.headers: "X-A" can not be sent/],
    [{ '': ['x'] }, /^http.headers: ""/],
    [{ 'Content-Length': ['0'] }, /^http.headers: Content-Length is for Berth to set/],
    [{ connection: ['close'] }, /^http.headers: connection is for Berth to set/],
    [{ 'X-A': ['☃'] }, /^http.headers: "X-A"/],
  ] as [Record<string, string[]>, RegExp][]) {
    t.throws(() => commonHeaders(headers), { message })
  }
})
