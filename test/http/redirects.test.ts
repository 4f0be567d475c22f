import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer as createHttpServer, request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, createServer, type ListenOptions } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import pino from 'pino'
import t, { type Test } from 'tap'
import { type Answer, ask } from '../../conformance/http.ts'
import type { RedirectRule } from '../../server/http/redirects.ts'
import { type Content, contentOf, layerType, randomBlob } from '../helpers/images.ts'
import { startBerth } from '../helpers/processes.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from '../helpers/registry.ts'
import { createAuthority, tlsFiles } from './certificates.ts'
import { firstError, until } from './connection.ts'
import { type SigningStore, startSigningStore } from './signing-store.ts'

/** Downloads that a store serves itself. The store is a stand-in (signing-store.ts). */

interface Redirecting extends TestRegistry {
  store: SigningStore
  push: (blob: Content) => Promise<string>
}

/** A registry over a store that signs URLs; redirects are as `storage.redirect` has them by default. */
async function start(t: Test, options: TestRegistryOptions = {}): Promise<Redirecting> {
  const store = await startSigningStore(t)
  const registry = await startRegistry(t, { redirect: {}, ...options, wrapDriver: driver => store.wrap(driver) })
  return { ...registry, store, push: blob => push(registry.url, blob) }
}

/** @returns the URL of the blob */
async function push(registry: string, { digest, bytes }: Content, ca?: string): Promise<string> {
  const headers = { 'content-length': String(bytes.length) }
  const url = `${registry}/v2/team/app/blobs/uploads/?digest=${digest}`
  const { status } = await ask(url, { method: 'POST', body: bytes, headers, ...(ca === undefined ? {} : { ca }) })
  if (status !== 201) throw new Error(`a blob was answered with ${status}`)
  return `${registry}/v2/team/app/blobs/${digest}`
}

const blob = randomBlob(5000)

function isRedirect(t: Test, { status, headers, body }: Answer, store: SigningStore): void {
  t.equal(status, 307)
  t.match(headers.location, new RegExp(`^${store.url}/.*\\?signature=[0-9a-f]{32}$`))
  t.equal(body.length, 0)
}

t.test('[34] a GET is redirected to the store, with its digest, which no cache may remember', async t => {
  const { push, store } = await start(t)
  const url = await push(blob)
  const answer = await ask(url)
  isRedirect(t, answer, store)
  t.match(answer.headers, {
    'docker-content-digest': blob.digest,
    'cache-control': 'no-store',
    'content-length': '0',
    'docker-distribution-api-version': 'registry/2.0',
    'x-request-id': /^[0-9a-f-]{36}$/,
  })
  // They would be about the redirect and not about the blob.
  for (const name of ['etag', 'accept-ranges', 'content-type']) t.notOk(name in answer.headers, name)
  t.match(store.signed, [{ expiresMs: 60_000, endpoint: undefined }], 'the URL is good for as long as the setting says')
  t.ok((await ask(String(answer.headers.location))).body.equals(blob.bytes))
})

t.test('[7] a client that follows without its credentials gets the blob, and a part of it, from the store', async t => {
  const { push, store } = await start(t)
  const url = await push(blob)
  const whole = await fetch(url, { headers: { authorization: 'Basic c2VjcmV0' } })
  t.ok(Buffer.from(await whole.arrayBuffer()).equals(blob.bytes))
  const part = await fetch(url, { headers: { range: 'bytes=100-199' } })
  t.equal(part.status, 206)
  t.ok(Buffer.from(await part.arrayBuffer()).equals(blob.bytes.subarray(100, 200)))
  const ofStore = part.headers.get('etag')
  t.equal(ofStore, '"of-the-store"')
  t.match(store.served, [{ headers: { authorization: undefined } }, { headers: { range: 'bytes=100-199' } }])
})

t.test('HEAD is answered by Berth', async t => {
  const { push, store } = await start(t)
  const head = await ask(await push(blob), { method: 'HEAD' })
  t.match(head, {
    status: 200,
    headers: { 'content-length': '5000', 'docker-content-digest': blob.digest, etag: `"${blob.digest}"` },
  })
  t.notOk('location' in head.headers)
  t.same(store.signed, [])
})

t.test('blobs that are too small, and those without bytes, are sent by Berth', async t => {
  const { push, store } = await start(t, { redirect: { minsize: 1000 } })
  const small = randomBlob(999)
  t.match(await ask(await push(small)), { status: 200, headers: { etag: `"${small.digest}"` } })
  isRedirect(t, await ask(await push(randomBlob(1000))), store)

  const any = await start(t)
  isRedirect(t, await ask(await any.push(randomBlob(1))), any.store)
  const empty = await ask(await any.push(contentOf('', layerType)))
  t.match(empty, { status: 200, headers: { 'content-length': '0' } })
})

t.test('what is not there, or not in this repository, is 404 and not signed', async t => {
  const { push, store, url } = await start(t)
  await push(blob)
  for (const path of [`team/app/blobs/${randomBlob().digest}`, `team/other/blobs/${blob.digest}`]) {
    const answer = await ask(`${url}/v2/${path}`)
    t.equal(answer.status, 404)
    t.equal(firstError(answer.body).code, 'BLOB_UNKNOWN')
  }
  t.same(store.signed, [])
})

t.test('conditions are answered by Berth, as the store knows other ETags and dates', async t => {
  const { push, store } = await start(t)
  const url = await push(blob)
  const tag = `"${blob.digest}"`
  const date = new Date(0).toUTCString()
  const table: [headers: Record<string, string>, status: number][] = [
    [{ 'if-none-match': tag }, 304],
    [{ 'if-match': '"other"' }, 412],
    [{ 'if-match': tag }, 200],
    [{ 'if-modified-since': new Date(Date.now() + 86_400_000).toUTCString() }, 200],
    [{ 'if-unmodified-since': date }, 200],
    [{ range: 'bytes=0-9', 'if-range': tag }, 206],
    [{ range: 'bytes=0-9', 'if-range': '"other"' }, 200],
  ]
  for (const [headers, status] of table) {
    const answer = await ask(url, { headers })
    t.equal(answer.status, status, JSON.stringify(headers))
    if (status === 200) t.ok(answer.body.equals(blob.bytes))
  }
  t.same(store.signed, [])
  isRedirect(t, await ask(url, { headers: { 'if-none-match': '"other"' } }), store)
})

t.test('one range is redirected; what a store does not serve right, Berth does', async t => {
  const { push, store } = await start(t)
  const url = await push(blob)
  for (const range of ['bytes=0-99', 'bytes=4999-', 'bytes=-1', 'bytes=0-99999'])
    isRedirect(t, await ask(url, { headers: { range } }), store)
  const signed = store.signed.length

  const parts = await ask(url, { headers: { range: 'bytes=0-9,100-109' } })
  t.match(parts, { status: 206, headers: { 'content-type': /^multipart\/byteranges/ } })
  const beyond = await ask(url, { headers: { range: 'bytes=5000-' } })
  t.match(beyond, { status: 416, headers: { 'content-range': 'bytes */5000' } })
  t.match(await ask(url, { headers: { range: 'bytes=0-9,9000-' } }), {
    status: 206,
    headers: { 'content-range': 'bytes 0-9/5000' },
  })
  for (const range of ['lines=1-2', 'bytes=x']) t.equal((await ask(url, { headers: { range } })).status, 200, range)
  t.equal(store.signed.length, signed)
})

t.test('without a store that signs URLs, and where it is switched off, blobs are sent by Berth', async t => {
  const plain = await startRegistry(t, { redirect: {} })
  const off = await start(t, { redirect: { disable: true } })
  for (const { url } of [plain, off]) {
    const answer = await ask(await push(url, blob))
    t.equal(answer.status, 200)
    t.ok(answer.body.equals(blob.bytes))
  }
  t.same(off.store.signed, [])
})

t.test('a URL that can not be signed is an error, and not a broken redirect', async t => {
  const store = await startSigningStore(t)
  const { url } = await startRegistry(t, {
    redirect: {},
    wrapDriver: driver => ({ ...store.wrap(driver), signUrl: () => Promise.reject(new Error('no credentials')) }),
  })
  const answer = await ask(await push(url, blob))
  t.equal(answer.status, 500)
  for (const name of ['location', 'cache-control', 'docker-content-digest']) t.notOk(name in answer.headers, name)
})

/** What becomes of a client at an address behind a proxy that is believed. */
async function fate(url: string, client: string | undefined): Promise<string> {
  const answer = await ask(url, { headers: client === undefined ? {} : { 'x-forwarded-for': client } })
  if (answer.status === 200) return 'proxy'
  return answer.status === 307 ? new URL(String(answer.headers.location)).origin : String(answer.status)
}

const rules: RedirectRule[] = [
  { networks: ['10.1.0.0/16', '2001:db8:1::/48'], action: 'proxy' },
  { networks: ['10.0.0.0/8'], action: 'redirect', endpoint: 'https://inside.example.com' },
  { networks: ['192.0.2.7', '2001:db8::/32'], action: 'redirect', endpoint: 'https://other.example.com:8443' },
]

t.test('the first rule that is for a client counts, and none is a redirect', async t => {
  const { push, store } = await start(t, { redirect: { rules }, trustedProxies: ['127.0.0.0/8'] })
  const url = await push(blob)
  const table: [client: string, fate: string][] = [
    ['10.1.2.3', 'proxy'],
    ['10.2.0.1', 'https://inside.example.com'],
    ['192.0.2.7', 'https://other.example.com:8443'],
    ['192.0.2.8', store.url],
    ['2001:db8:1::9', 'proxy'],
    ['2001:db8:2::9', 'https://other.example.com:8443'],
    ['2001:db9::1', store.url],
    // As sockets and proxies write them.
    ['::ffff:10.1.2.3', 'proxy'],
    ['::FFFF:0a01:0203', 'proxy'],
    ['10.1.2.3:50000', 'proxy'],
    ['[2001:db8:1::9]:50000', 'proxy'],
    ['fe80::1%eth0', store.url],
    ['unknown', store.url],
    // Only the last who is not a proxy is known by a proxy's word.
    ['10.1.2.3, 192.0.2.8', store.url],
    ['192.0.2.8, 10.1.2.3, 127.0.0.9', 'proxy'],
  ]
  for (const [client, expected] of table) t.equal(await fate(url, client), expected, client)
  t.equal(await fate(url, undefined), store.url, 'the proxy itself')
  t.match(
    store.signed.find(({ endpoint }) => endpoint !== undefined),
    {
      endpoint: 'https://inside.example.com',
      expiresMs: 60_000,
    },
  )
})

t.test('a rule without networks is for everyone', async t => {
  const { push } = await start(t, {
    redirect: { rules: [...rules, { action: 'proxy' }] },
    trustedProxies: ['127.0.0.1'],
  })
  const url = await push(blob)
  t.equal(await fate(url, '192.0.2.8'), 'proxy')
  t.equal(await fate(url, 'unknown'), 'proxy')
  t.equal(await fate(url, '10.2.0.1'), 'https://inside.example.com')
})

t.test('nobody is believed about another address who is not named', async t => {
  const onlyLocal: RedirectRule[] = [{ networks: ['127.0.0.1'], action: 'proxy' }]
  for (const trustedProxies of [[], ['127.0.0.2']]) {
    const { push } = await start(t, { redirect: { rules: onlyLocal }, trustedProxies })
    t.equal(await fate(await push(blob), '192.0.2.8'), 'proxy', `trusted: ${trustedProxies.join()}`)
  }
})

/** Another way into a registry: over a socket of IPv6 that takes IPv4 too, or over one of the file system. */
async function openDoor(t: Test, { app }: TestRegistry, where: ListenOptions): Promise<AddressInfo | string | null> {
  const door = createServer(socket => void app.server.emit('connection', socket)).listen(where)
  await once(door, 'listening')
  t.teardown(() => void door.close())
  return door.address()
}

t.test('a client of IPv4 is known by its address on a socket of IPv6 too', async t => {
  const registry = await start(t, { redirect: { rules: [{ networks: ['127.0.0.0/8'], action: 'proxy' }] } })
  const url = new URL(await registry.push(blob))
  const door = await openDoor(t, registry, { host: '::', port: 0 })
  if (door === null || typeof door === 'string') throw new Error('it has no port')
  url.port = String(door.port)
  t.equal(await fate(url.href, undefined), 'proxy')
  url.hostname = '[::1]'
  t.equal(await fate(url.href, undefined), registry.store.url)
})

t.test('a proxy that comes over a socket of the file system is believed where unix is named', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'door-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const fates: Record<string, number> = {}
  for (const trusted of ['unix', '10.0.0.0/8']) {
    const registry = await start(t, { redirect: { rules }, trustedProxies: [trusted] })
    const { pathname: path } = new URL(await registry.push(blob))
    const socketPath = join(folder, `${trusted.slice(0, 4)}.sock`)
    await openDoor(t, registry, { path: socketPath })
    const headers = { 'x-forwarded-for': '10.1.2.3' }
    const [response] = await once(httpRequest({ socketPath, path, headers, agent: false }).end(), 'response')
    fates[trusted] = response.statusCode
    await buffer(response)
  }
  t.same(fates, { unix: 200, '10.0.0.0/8': 307 })
})

t.test('the log has the address of the client, and nothing of the URL', async t => {
  const lines: string[] = []
  const log = pino(
    { level: 'trace' },
    new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      },
    }),
  )
  const { push, store } = await start(t, { log, requestLog: log, trustedProxies: ['127.0.0.1'] })
  const answer = await ask(await push(blob), { headers: { 'x-forwarded-for': '192.0.2.1, 192.0.2.7' } })
  isRedirect(t, answer, store)
  await until(() => lines.some(line => line.includes('"status":307')))
  t.match(JSON.parse(lines.find(line => line.includes('"status":307')) ?? ''), {
    client: '192.0.2.7',
    forwarded: '192.0.2.1, 192.0.2.7',
    sent: 0,
  })
  const { searchParams, host } = new URL(String(answer.headers.location))
  for (const secret of [searchParams.get('signature') ?? '?', host]) t.notMatch(lines.join(''), secret)
})

t.test('over HTTP/2 it is the same', async t => {
  const authority = await createAuthority(join(t.testdir(), 'tls'))
  const rules: RedirectRule[] = [{ networks: ['10.0.0.0/8'], action: 'proxy' }]
  const tls = tlsFiles(await authority.sign('server'))
  const { url, store } = await start(t, { tls, redirect: { rules }, trustedProxies: ['127.0.0.1'] })
  const { pathname } = new URL(await push(url, blob, authority.certificate))
  const session = connectHttp2(url, { ca: await readFile(authority.certificate) })
  t.teardown(() => session.destroy())
  const get = async (headers: Record<string, string>) => {
    const stream = session.request({ ':path': pathname, ...headers })
    const [answered] = await once(stream, 'response')
    const body = await buffer(stream)
    return { status: Number(answered[':status']), headers: answered, body }
  }
  const away = await get({})
  isRedirect(t, away, store)
  t.equal(away.headers['cache-control'], 'no-store')
  const inside = await get({ 'x-forwarded-for': '10.9.9.9' })
  t.equal(inside.status, 200)
  t.ok(inside.body.equals(blob.bytes))
  t.equal((await get({ ':method': 'HEAD' })).status, 200)
})

t.test(
  'with the middleware redirect a server of the operator gives out the files of the filesystem driver',
  async t => {
    let data = ''
    const files = createHttpServer((request, response) => {
      readFile(join(data, new URL(request.url ?? '/', 'http://files').pathname.replace('/images', ''))).then(
        bytes => response.end(bytes),
        () => response.writeHead(404).end(),
      )
    }).listen(0, '127.0.0.1')
    await once(files, 'listening')
    t.teardown(() => void files.close())
    const baseurl = `http://127.0.0.1:${(files.address() as AddressInfo).port}/images/`
    const berth = await startBerth(t, {
      env: { REGISTRY_HTTP_TRUSTEDPROXIES: '[127.0.0.0/8]' },
      config: {
        version: '0.1',
        storage: {
          filesystem: {},
          redirect: { minsize: 1000, rules: [{ networks: ['10.0.0.0/8'], action: 'proxy' }] },
        },
        middleware: { storage: [{ name: 'redirect', options: { baseurl } }] },
      },
    })
    ;({ data } = berth)
    const url = await push(berth.url, blob)
    const answer = await ask(url)
    const [algorithm = '', hex = ''] = blob.digest.split(':')
    t.match(answer, { status: 307, headers: { location: `${baseurl}blobs/${algorithm}/${hex.slice(0, 2)}/${hex}` } })
    t.ok((await ask(String(answer.headers.location))).body.equals(blob.bytes))
    t.equal(await fate(url, '10.1.1.1'), 'proxy')
    t.equal((await ask(await push(berth.url, randomBlob(999)))).status, 200)
  },
)
