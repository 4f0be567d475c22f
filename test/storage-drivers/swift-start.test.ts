import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import t, { type Test } from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { makeCertificates } from '../../conformance/certificates.ts'
import type { SwiftOptions } from '../../storage-drivers/swift/options.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { needs } from '../helpers/needs.ts'
import { get, put } from './contract.ts'
import { startFront } from './swift-front.ts'
import { rawSwift, serveSwift, v1Options, type V1User } from './swift-servers.ts'

/** Each is one sentence, which names a setting and tells no secret. */
async function refuses(t: Test, user: V1User, message: RegExp, rest: Partial<SwiftOptions> = {}): Promise<void> {
  const container = `test-${randomUUID()}`
  const began = performance.now()
  const error = await createSwiftDriver(v1Options(user, { container, ...rest })).then(
    async driver => driver[Symbol.asyncDispose](),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Error)) return void t.fail(`it started, where ${message} was wanted`)
  t.match(error.message, message)
  t.notMatch(error.message, /\. |\n|secret|\.$/, 'one sentence without the password')
  t.ok(performance.now() - began < 15_000, 'and soon')
}

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const nobody: V1User = { authUrl: '', username: 'test:tester', password: 'secret' }

t.test('says that nobody is there', async t => {
  const port = await freePort()
  await refuses(
    t,
    { ...nobody, authUrl: `http://127.0.0.1:${port}/auth/v1.0` },
    /nobody listens where the login http:\/\/127.*storage\.swift\.authurl/,
  )
})

t.test('says that a host is unknown', async t => {
  await refuses(
    t,
    { ...nobody, authUrl: 'http://keystone.invalid/v3' },
    /the host of the login http:\/\/keystone\.invalid\/v3 is not known.*storage\.swift\.authurl/,
  )
})

t.test('says that a server does not answer', async t => {
  const server = createTcpServer(() => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await refuses(
    t,
    { ...nobody, authUrl: `http://127.0.0.1:${port}/auth/v1.0` },
    /takes the connection and does not answer/,
  )
})

t.test('says that there is no login at the URL', async t => {
  const empty = await serve(t, (_request, response) => response.writeHead(404).end())
  await refuses(
    t,
    { ...nobody, authUrl: `${empty}/auth/v1.0` },
    /there is no login of version 1: .*storage\.swift\.authurl/,
  )
  const pages = await serve(t, (_request, response) => response.end('<html>hello</html>'))
  await refuses(t, { ...nobody, authUrl: pages }, /there is no login of version 1/)
  await refuses(t, { ...nobody, authUrl: `${pages}/v3` }, /there is no login of version 3/)
})

t.test('says that the login does not work', async t => {
  const broken = await serve(t, (_request, response) => response.writeHead(503).end('down'))
  await refuses(t, { ...nobody, authUrl: `${broken}/auth/v1.0` }, /the login .* does not work at the moment/)
})

t.test('says that what the login names is no Swift', async t => {
  for (const status of [200, 404, 405]) {
    const other = await serve(t, (_request, response) => response.writeHead(status).end('hello'))
    const login = await serve(t, (_request, response) =>
      response.writeHead(200, { 'x-auth-token': 'token', 'x-storage-url': `${other}/v1/AUTH_test` }).end(),
    )
    await refuses(t, { ...nobody, authUrl: `${login}/auth/v1.0` }, /is no Swift: .*storage\.swift\.storageurl/)
  }
})

t.test('says that the Swift that the login names is not there', async t => {
  const port = await freePort()
  const login = await serve(t, (_request, response) =>
    response
      .writeHead(200, { 'x-auth-token': 'token', 'x-storage-url': `http://127.0.0.1:${port}/v1/AUTH_test` })
      .end(),
  )
  await refuses(
    t,
    { ...nobody, authUrl: `${login}/auth/v1.0` },
    /nobody listens where Swift at http:\/\/127.*storage\.swift\.storageurl/,
  )
})

const swift = await serveSwift()
if (swift !== undefined) {
  const user = swift.tempAuth

  t.test('says that a password or a user is wrong', async t => {
    await refuses(t, { ...user, password: 'secret' }, /refuses the user test:tester: .*storage\.swift\.password/)
    await refuses(t, { ...user, username: 'test:nobody' }, /refuses the user test:nobody/)
  })

  t.test('makes the container when it is missing, unless it may not', async t => {
    await refuses(t, user, /there is no container test-.*storage\.swift\.createcontainer/, { createContainer: false })
    const container = `test-${randomUUID()}`
    await using _first = await createSwiftDriver(v1Options(user, { container }))
    await using second = await createSwiftDriver(v1Options(user, { container, createContainer: false }))
    await t.resolves(second.check())
  })

  t.test('says that the account or the container is not for this user', async t => {
    const other = { ...user, ...swift.otherUser }
    const { url } = await rawSwift(other)
    await refuses(t, user, /may not use the container test-.*storage\.swift\.container/, { storageUrl: url })
  })

  t.test('says in a check what is wrong since the start', async t => {
    const container = `test-${randomUUID()}`
    await using driver = await createSwiftDriver(v1Options(user, { container }))
    await t.resolves(driver.check())
    const raw = await rawSwift(user)
    t.equal((await raw.ask('DELETE', `/${container}`)).status, 204)
    await t.rejects(driver.check(), { message: /there is no container test-/ })
  })

  t.test('says that there are no large objects', async t => {
    const plain = await serveSwift({ without: ['slo'] })
    if (plain === undefined) return
    await refuses(t, plain.tempAuth, /has no static large objects.*add slo/)
  })

  t.test('does without what a Swift does not have', async t => {
    const plain = await serveSwift({ without: ['bulk', 'tempurl'] })
    if (plain === undefined) return
    const options = v1Options(plain.tempAuth, { container: `test-${randomUUID()}` })
    await using driver = await createSwiftDriver(options)
    t.notOk('signUrl' in driver)
    const keys = [await put(driver, 'blobs/a', Buffer.from('a')), await put(driver, 'blobs/b', Buffer.from('b'))]
    t.equal((await get(driver, keys[1] ?? '', 1)).toString(), 'b')
    await driver.delete([...keys, 'blobs/never'])
    for (const key of keys) t.equal(await driver.size(key), undefined)
  })

  t.test('says that a certificate is for another name', async t => {
    if (needs(t, 'openssl') === undefined) return
    const { certificate, key, ca } = await makeCertificates(t.testdir(), ['swift.example'])
    const tls = { cert: await readFile(certificate), key: await readFile(key) }
    const front = await startFront({ to: swift.endpoint, tls })
    t.teardown(() => front[Symbol.asyncDispose]())
    await refuses(t, { ...user, authUrl: `${front.url}/auth/v1.0` }, /is for another name: .*storage\.swift\.authurl/, {
      tls: { skipVerify: false, ca: await readFile(ca, 'utf8') },
    })
  })

  t.test('trusts a certificate of the house, or none, as it is told', async t => {
    if (needs(t, 'openssl') === undefined) return
    const { certificate, key, ca } = await makeCertificates(t.testdir(), ['127.0.0.1'])
    const tls = { cert: await readFile(certificate), key: await readFile(key) }
    const front = await startFront({ to: swift.endpoint, tls })
    t.teardown(() => front[Symbol.asyncDispose]())
    const secure = { ...user, authUrl: `${front.url}/auth/v1.0` }
    // Swift itself speaks no TLS, and so does not know that its URL begins with https.
    const storageUrl = `${front.url}/v1/AUTH_test`
    await refuses(t, secure, /the certificate of the login .* not trusted: .*storage\.swift\.cafile/, { storageUrl })
    for (const settings of [{ skipVerify: true }, { skipVerify: false, ca: await readFile(ca, 'utf8') }]) {
      const options = v1Options(secure, { container: `test-${randomUUID()}`, tls: settings, storageUrl })
      await using driver = await createSwiftDriver(options)
      await t.resolves(driver.check())
    }
    await refuses(t, { ...user, authUrl: user.authUrl.replace('http:', 'https:') }, /does not speak TLS.*http:\/\//)
  })
}
