import { once } from 'node:events'
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import t from 'tap'
import { serverCreator } from '../../server/http/server.ts'
import type { TlsFiles } from '../../server/http/tls.ts'
import { silentLog } from '../../server/lib/log.ts'
import { startRegistry, type TestRegistryOptions } from '../helpers/registry.ts'
import { createAuthority, credentials, tlsFiles } from './certificates.ts'
import { connectionOf, until } from './connection.ts'

const folder = t.testdir()
const authority = await createAuthority(join(folder, 'ours'), 'Ours')
const foreign = await createAuthority(join(folder, 'foreign'), 'Foreign')
const server = await authority.sign('server')
const known = await credentials(await authority.sign('client'))
const unknown = await credentials(await foreign.sign('stranger'))
const ca = await readFile(authority.certificate)

/** A TLS connection that is through with its handshake. @throws when the server does not want it */
async function secure(url: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca, ...options })
  await once(socket, 'secureConnect')
  return socket
}

/** The status of GET /v2/ for a client with these options, or the word for a connection that was not wanted. */
async function statusFor(url: string, options: ConnectionOptions = {}): Promise<number | 'turned away'> {
  let socket: TLSSocket
  try {
    socket = await secure(url, options)
  } catch {
    return 'turned away'
  }
  const connection = connectionOf(socket)
  connection.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
  const answer = await connection.answer().catch(() => undefined)
  connection.close()
  return answer?.status ?? 'turned away'
}

for (const http2 of [true, false]) {
  const also = http2 ? ', with HTTP/2' : ', without HTTP/2'
  const start = (t: Parameters<typeof startRegistry>[0], tls: Partial<TlsFiles>, rest: TestRegistryOptions = {}) =>
    startRegistry(t, { tls: tlsFiles(server, tls), http2, ...rest })

  t.test(`a client of HTTPS is served${also}`, async t => {
    const { url } = await start(t, {})
    t.match(url, /^https:/)
    t.equal(await statusFor(url), 200)
    t.equal((await secure(url, { ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol, http2 ? 'h2' : 'http/1.1')
    t.equal((await secure(url, { ALPNProtocols: ['http/1.1'] })).alpnProtocol, 'http/1.1')
    t.equal(await statusFor(url, known), 200, 'a certificate that was not asked for is no harm')
  })

  t.test(`who sends plain HTTP to the port of TLS is turned away, and others are served on${also}`, async t => {
    const { url } = await start(t, {})
    const socket = connectTcp({ host: '127.0.0.1', port: Number(new URL(url).port) })
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    const said = await buffer(socket).catch(() => Buffer.alloc(0))
    t.notMatch(said.toString('latin1'), /HTTP\/1.1 2/)
    t.equal(await statusFor(url), 200)
  })

  t.test(`each mode of clientauth lets in whom registry:3 lets in${also}`, async t => {
    const table: [TlsFiles['clientauth'], Record<'none' | 'known' | 'unknown', number | 'turned away'>][] = [
      ['request-client-cert', { none: 200, known: 200, unknown: 200 }],
      ['require-any-client-cert', { none: 'turned away', known: 200, unknown: 200 }],
      ['verify-client-cert-if-given', { none: 200, known: 200, unknown: 'turned away' }],
      ['require-and-verify-client-cert', { none: 'turned away', known: 200, unknown: 'turned away' }],
    ]
    for (const [clientauth, expected] of table) {
      const { url } = await start(t, { clientcas: [authority.certificate], clientauth })
      const found = {
        none: await statusFor(url),
        known: await statusFor(url, known),
        unknown: await statusFor(url, unknown),
      }
      t.same(found, expected, clientauth)
      const older = { maxVersion: 'TLSv1.2' } as const
      const foundByOlder = {
        none: await statusFor(url, older),
        known: await statusFor(url, { ...known, ...older }),
        unknown: await statusFor(url, { ...unknown, ...older }),
      }
      t.same(foundByOlder, expected, `${clientauth}, TLS 1.2`)
    }
  })

  t.test(`of several authorities each counts${also}`, async t => {
    const { url } = await start(t, { clientcas: [authority.certificate, foreign.certificate] })
    t.equal(await statusFor(url, known), 200)
    t.equal(await statusFor(url, unknown), 200)
    t.equal(await statusFor(url), 'turned away')
  })

  t.test(`a resumed session is held to the same rule${also}`, async t => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const clientauth of ['require-any-client-cert', 'require-and-verify-client-cert'] as const) {
        const { url } = await start(t, { clientcas: [authority.certificate], clientauth })
        const first = await secure(url, { ...known, maxVersion })
        const connection = connectionOf(first)
        connection.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
        t.equal((await connection.answer()).status, 200)
        const session = first.getSession()
        const again = { ...known, maxVersion, ...(session ? { session } : {}) }
        const second = await secure(url, again)
        t.ok(second.isSessionReused(), 'the session is resumed')
        t.equal(await statusFor(url, again), 200, `${clientauth}, ${maxVersion}`)
        first.destroy()
        second.destroy()
      }
    }
  })

  t.test(`a protocol older than the oldest one allowed is refused${also}`, async t => {
    const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
    for (const minimumtls of versions) {
      const ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA'
      const lowest = versions.indexOf(minimumtls)
      const { url } = await start(t, { minimumtls, ciphers: lowest < 2 ? `${ciphers}:@SECLEVEL=0` : ciphers })
      for (const [index, version] of versions.entries()) {
        const options = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' }
        t.equal(await statusFor(url, options), index < lowest ? 'turned away' : 200, `${minimumtls}: ${version}`)
      }
    }
  })

  t.test(`a renewed certificate is shown to who comes next, and open connections stay${also}`, async t => {
    const live = { certificate: join(folder, `live-${http2}.crt`), key: join(folder, `live-${http2}.key`) }
    const place = async (pair: typeof live) => {
      // As renewing programs do it: one file after the other, each in one step.
      for (const [from, to] of [
        [pair.key, live.key],
        [pair.certificate, live.certificate],
      ] as const) {
        await copyFile(from, `${to}.new`)
        await rename(`${to}.new`, to)
      }
    }
    await place(server)
    const messages: string[] = []
    const note = (_fields: unknown, message?: string) => void messages.push(message ?? '')
    const log = { ...silentLog, info: note, warn: note }
    const { url } = await startRegistry(t, { tls: tlsFiles(live), http2, watchEveryMs: 20, log })
    const kept = await secure(url)
    t.equal(kept.getPeerCertificate().subject['CN'], 'server')
    const connection = connectionOf(kept)

    await writeFile(live.key, 'not a key')
    await until(() => messages.includes('changed certificate not usable, the one before it stays'))
    t.equal(await statusFor(url), 200, 'the old one goes on')

    await place(await authority.sign('renewed'))
    await until(async () => {
      const socket = await secure(url)
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      return subject['CN'] === 'renewed'
    })
    t.ok(messages.includes('certificate read anew'))
    t.equal(await statusFor(url), 200)
    connection.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    t.equal((await connection.answer()).status, 200, 'the connection from before')
    connection.close()
  })
}

t.test('a renewed list of client authorities counts for who comes next', async t => {
  const cas = join(folder, 'clients.pem')
  await copyFile(authority.certificate, cas)
  const { url } = await startRegistry(t, { tls: tlsFiles(server, { clientcas: [cas] }), watchEveryMs: 20 })
  t.equal(await statusFor(url, unknown), 'turned away')
  await copyFile(foreign.certificate, cas)
  await until(async () => (await statusFor(url, unknown)) === 200)
  t.equal(await statusFor(url, known), 'turned away')
})

t.test('what keeps TLS from starting is one sentence that names the file', async t => {
  const other = await authority.sign('other')
  const file = join(folder, 'text.pem')
  await writeFile(file, 'no certificate')
  const faults: [TlsFiles, RegExp][] = [
    [
      tlsFiles({ certificate: '/nowhere/crt.pem', key: server.key }),
      /^http.tls.certificate: .*\/nowhere\/crt.pem can not be read/,
    ],
    [
      tlsFiles({ certificate: server.certificate, key: '/nowhere/key.pem' }),
      /^http.tls.key: .*\/nowhere\/key.pem can not be read/,
    ],
    [tlsFiles({ certificate: folder, key: server.key }), /^http.tls.certificate: .* can not be read/],
    [
      tlsFiles({ certificate: server.certificate, key: other.key }),
      /other.key is not the key of the certificate .*server.crt/,
    ],
    [tlsFiles({ certificate: file, key: server.key }), /text.pem.* PEM/],
    [tlsFiles({ certificate: server.certificate, key: file }), /text.pem.* PEM/],
    [tlsFiles(server, { clientcas: ['/nowhere/ca.pem'] }), /^http.tls.clientcas: .*\/nowhere\/ca.pem can not be read/],
    [tlsFiles(server, { ciphers: 'NO-SUCH-CIPHER' }), /cipher/i],
  ]
  for (const [tls, message] of faults) {
    t.throws(() => serverCreator({ tls, http2: true, log: silentLog }), { message })
  }
})

t.test('Location begins with https', async t => {
  const { url } = await startRegistry(t, { tls: tlsFiles(server) })
  const agent = new Agent({ ca })
  t.teardown(() => agent.destroy())
  const sent = request(`${url}/v2/a/blobs/uploads/`, { method: 'POST', agent }).end()
  const [response] = await once(sent, 'response')
  t.match(response.headers.location, new RegExp(`^${url}/v2/a/blobs/uploads/`))
  response.resume()
})
