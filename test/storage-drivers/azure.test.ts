import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { ContainerSASPermissions } from '@azure/storage-blob'
import t, { type Test } from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { createAzureDriver } from '../../storage-drivers/azure/azure.ts'
import { createAzureClient, protocolVersion } from '../../storage-drivers/azure/client.ts'
import type { AzureOptions } from '../../storage-drivers/azure/options.ts'
import { type StorageDriver, UploadLost, type UploadState } from '../../storage-drivers/driver.ts'
import { createAuthority } from '../http/certificates.ts'
import { type Azurite, startAzuriteFor } from '../services/azurite.ts'
import { type BadNetwork, type CannedAnswer, startBadNetwork } from './bad-network.ts'
import { closing, get, put, saved, testDriver } from './contract.ts'

const mebibyte = 1024 * 1024
const azurite = await startAzuriteFor(t)

/** A container of its own. */
function optionsFor(more: Partial<AzureOptions> = {}, server: Azurite = azurite): AzureOptions {
  const { accountName, accountKey, serviceUrl } = server
  return {
    accountName,
    container: `test-${randomUUID()}`,
    credentials: { type: 'shared_key', accountKey },
    realm: 'core.windows.net',
    serviceUrl,
    rootdirectory: '/registry',
    chunkSize: mebibyte,
    parallel: 4,
    tls: { skipVerify: false },
    createContainer: true,
    ...more,
  }
}

/** Begun early: it takes as long as a server may take that is being started. */
const startOnNobody = startOf({ serviceUrl: `http://127.0.0.1:${await freePort()}/${azurite.accountName}` })

testDriver('azure', async () => {
  const options = optionsFor({ chunkSize: 4 * mebibyte })
  return () => createAzureDriver(options)
})

const test = (title: string, check: (t: Test) => Promise<void>) => void t.test(title, check)

test('an upload of many blocks goes on in another process, and leaves the object alone', async t => {
  const options = optionsFor()
  await using one = await createAzureDriver(options)
  await using other = await createAzureDriver(options)
  const bytes = randomBytes(7 * mebibyte + 5)
  const first = closing(await one.createUpload())
  await first.write([bytes.subarray(0, 3 * mebibyte - 7)])
  const state = await first.save()
  t.equal(state.offset, 3 * mebibyte - 7)
  await first.close()
  await using second = closing(await other.resumeUpload(overTheWire(state)))
  t.equal(second.length, state.offset)
  await second.write([bytes.subarray(state.offset)])
  const key = await second.commit('blobs/unused')
  await second.close()
  t.ok((await get(one, key, bytes.length)).equals(bytes))
  const range = { first: mebibyte - 3, last: 6 * mebibyte }
  t.ok(
    (await buffer(await one.read(key, range))).equals(bytes.subarray(range.first, range.last + 1)),
    'over the borders',
  )
  t.same(await everythingIn(options), [`registry/${key}`])
})

test('what is stored is told without asking, and is enough to go on from', async t => {
  await using driver = await createAzureDriver(optionsFor())
  const bytes = randomBytes(3 * mebibyte + 5)
  const session = closing(await driver.createUpload())
  t.equal(session.stored().offset, 0)
  await session.write([bytes])
  t.equal(session.length, bytes.length)
  await session.save()
  t.same(session.stored(), await session.save(), 'all of it was saved')
  await session.write([Buffer.from('x')])
  const state = session.stored()
  t.equal(state.offset, bytes.length, 'and this byte was not')
  await session.close()
  await using resumed = closing(await driver.resumeUpload(overTheWire(state)))
  t.ok((await get(driver, await resumed.commit('blobs/unused'), bytes.length)).equals(bytes))
})

test('an upload that was read before its commit can still be committed, written to, or dropped', async t => {
  const options = optionsFor()
  await using driver = await createAzureDriver(options)
  await using other = await createAzureDriver(options)
  const bytes = randomBytes(2 * mebibyte + 5)
  const keys = []
  for (const end of ['here', 'elsewhere', 'with more', 'not at all']) {
    await using session = closing(await driver.createUpload())
    await session.write([bytes])
    const state = await session.save()
    t.ok((await buffer(await other.readUpload(overTheWire(state)))).equals(bytes), 'read')
    t.ok((await buffer(await driver.readUpload(state))).equals(bytes), 'and again')
    if (end === 'not at all') {
      await driver.dropUpload(state)
      await t.rejects(session.commit('blobs/unused'), UploadLost)
      continue
    }
    await using last = closing(end === 'elsewhere' ? await other.resumeUpload(overTheWire(state)) : session)
    if (end === 'with more') await last.write([Buffer.from('more')])
    const key = await last.commit('blobs/unused')
    keys.push(`registry/${key}`)
    const wanted = end === 'with more' ? Buffer.concat([bytes, Buffer.from('more')]) : bytes
    t.ok((await get(driver, key, wanted.length)).equals(wanted), `committed ${end}`)
    await last.close()
    await t.rejects(driver.readUpload(state), UploadLost, 'it is no upload any more')
    await driver.dropUpload(state)
    t.equal(await driver.size(key), wanted.length, 'and an object that stays')
  }
  t.same(await everythingIn(options), keys.toSorted())
})

test('two that go on from one older state do not get in the way of each other', async t => {
  await using driver = await createAzureDriver(optionsFor())
  const older = await saved(driver, Buffer.from('begun '))
  await using one = closing(await driver.resumeUpload(older))
  await one.write([Buffer.from('by one')])
  const state = await one.save()
  await using two = closing(await driver.resumeUpload(older))
  await two.write([Buffer.from('by two')])
  await two.save()
  await two.close()
  await using last = closing(await driver.resumeUpload(state))
  t.equal((await get(driver, await last.commit('blobs/unused'), 12)).toString(), 'begun by one')
})

test('who still has a session or a state of an upload can not change the object that it became', async t => {
  await using driver = await createAzureDriver(optionsFor())
  const first = closing(await driver.createUpload())
  const empty = await first.save()
  await first.write([Buffer.from('one ')])
  const state = await first.save()
  await using second = closing(await driver.resumeUpload(state))
  await second.write([Buffer.from('two')])
  const key = await second.commit('blobs/unused')
  await t.rejects(first.commit('blobs/unused'), UploadLost, 'with less')
  await first.close()
  for (const older of [state, empty]) await t.rejects(driver.resumeUpload(older), UploadLost)
  await driver.dropUpload(empty)
  t.equal((await get(driver, key, 7)).toString(), 'one two')
})

test('an upload that was dropped under its writer is lost, and leaves no bytes', async t => {
  const options = optionsFor()
  await using driver = await createAzureDriver(options)
  const session = closing(await driver.createUpload())
  const empty = await session.save()
  await session.write([randomBytes(3 * mebibyte)])
  const state = await session.save()
  await driver.dropUpload(empty)
  await t.rejects(session.commit('blobs/unused'), UploadLost)
  await session.close()
  await t.rejects(driver.resumeUpload(state), UploadLost)
  t.same(await everythingIn(options), [])
})

test('abandoned uploads are told by what every state of them has', async t => {
  const options = optionsFor()
  await using driver = await createAzureDriver(options)
  const states = [await saved(driver, randomBytes(2 * mebibyte + 1)), await saved(driver, randomBytes(10))]
  const found = await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() + 60_000)))
  t.same(new Set(found.map(({ offset }) => offset)), new Set([10, 2 * mebibyte + 1]))
  for (const { driver: part } of found)
    t.ok(states.some(state => Object.entries(part).every(([key, value]) => state.driver[key] === value)))
  for (const state of found) await driver.dropUpload(overTheWire(state))
  t.same(await everythingIn(options), [])
})

test('an upload is young while someone writes to it', async t => {
  await using driver = await createAzureDriver(optionsFor())
  const state = await saved(driver, Buffer.from('begun'))
  // Azure tells of whole seconds.
  await sleep(1100)
  const before = new Date(Math.floor(Date.now() / 1000) * 1000)
  t.equal((await Array.fromAsync(driver.abandonedUploads(before))).length, 1)
  await using session = closing(await driver.resumeUpload(state))
  await session.write([Buffer.from(' and gone on with')])
  await session.save()
  t.same(await Array.fromAsync(driver.abandonedUploads(before)), [])
})

test('objects are deleted in batches, and one by one where that is not taken', async t => {
  const options = optionsFor()
  await using driver = await createAzureDriver(options)
  const credentials = { type: 'sas_token', token: `?${await signatureFor(options)}` } as const
  await using signed = await createAzureDriver({ ...options, credentials })
  const network = await startBadNetwork(t, azurite.serviceUrl)
  await using far = await createAzureDriver({ ...options, serviceUrl: urlBy(network) })

  async function deletesAllOf(count: number, deleting: StorageDriver): Promise<void> {
    const keys = await Promise.all(Array.from({ length: count }, () => put(driver, 'blobs/x', Buffer.from('x'))))
    const [kept = '', ...others] = keys
    await deleting.delete(['blobs/ab/never', ...others])
    t.same(await everythingIn(options), [`registry/${kept}`])
    await deleting.delete([kept, 'blobs/ab/never'])
    t.same(await everythingIn(options), [])
  }

  await deletesAllOf(20, signed)
  const single = network.answer({ when: /^DELETE /, status: 400 })
  await deletesAllOf(260, far)
  t.equal(single.met, 0, 'all of them in batches')
  await network.mend()
  const batch = network.answer({ when: /comp=batch/, status: 400 })
  await deletesAllOf(20, far)
  t.equal(batch.met, 1, 'what is not taken is not tried again')
})

test('the signature of somebody else is enough for everything but URLs', async t => {
  const options = optionsFor()
  await (await createAzureDriver(options))[Symbol.asyncDispose]()
  const token = await signatureFor(options)
  await using driver = await createAzureDriver({ ...options, credentials: { type: 'sas_token', token } })
  t.notOk('signUrl' in driver)
  await roundTrip(t, driver)
  await driver.dropUpload(await saved(driver, randomBytes(10)))
  t.same(await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() + 60_000))), [])
})

test('a signed URL gives the object to anyone, whole or a range, until it expires, and nothing else', async t => {
  await using driver = await createAzureDriver(optionsFor())
  await urlsWork(t, driver)
})

test('a URL can be signed for another name of the server', async t => {
  await using driver = await createAzureDriver(optionsFor())
  const key = await put(driver, 'blobs/signed', Buffer.from('content'))
  const { port } = new URL(azurite.serviceUrl)
  for (const endpoint of [`http://localhost:${port}`, `http://localhost:${port}/${azurite.accountName}/`]) {
    const url = (await driver.signUrl?.(key, { expiresMs: 60_000, endpoint })) ?? ''
    t.match(url, new RegExp(`^http://localhost:${port}/${azurite.accountName}/test-[^/]+/registry/${key}\\?`))
    t.equal(await (await fetch(url)).text(), 'content')
  }
  const behind = await driver.signUrl?.(key, { expiresMs: 60_000, endpoint: 'https://proxy.test/blobs' })
  t.match(behind, /^https:\/\/proxy\.test\/blobs\/test-.*spr=https&/)
})

test('an upload outlives a server that is started again, in its middle and before its commit', async t => {
  const server = await startAzuriteFor(t)
  await using driver = await createAzureDriver(optionsFor({ chunkSize: 256 * 1024 }, server))
  const bytes = randomBytes(4 * mebibyte)
  await using session = closing(await driver.createUpload())
  await session.write([bytes.subarray(0, mebibyte)])
  await session.save()
  const restarted = server.restart()
  for (let at = mebibyte; at < bytes.length; at += 65_536) await session.write([bytes.subarray(at, at + 65_536)])
  await restarted
  await session.save()
  await server.stop()
  const [key] = await Promise.all([session.commit('blobs/unused'), server.restart()])
  t.ok((await get(driver, key, bytes.length)).equals(bytes))
})

test('an answer may take longer than a connection may be idle', async t => {
  const network = await startBadNetwork(t, azurite.serviceUrl)
  await using driver = await createAzureDriver(optionsFor({ serviceUrl: urlBy(network) }))
  const connections = network.open
  t.equal(connections, 1)
  // Azurite lets go of one after five seconds.
  network.delay(5500)
  const began = performance.now()
  t.equal(await driver.size('blobs/none'), undefined)
  t.ok(performance.now() - began < 8000, 'it was asked once')
})

test('a container that is gone is not taken for an object that is', async t => {
  const options = optionsFor()
  await using driver = await createAzureDriver(options)
  using client = await createAzureClient(options)
  await client.service.deleteContainer(options.container)
  await t.rejects(driver.size('blobs/any'))
  await t.rejects(driver.read('blobs/any', { first: 0, last: 1 }), { code: 'ContainerNotFound' })
  await t.rejects(driver.check(), /^there is no container test-/)
})

test('what keeps it from starting is one sentence that says what to do', async t => {
  const network = await startBadNetwork(t, azurite.serviceUrl)
  const far = { serviceUrl: urlBy(network) }
  const ended = 'sv=2025-01-05&sr=c&sp=racwdl&se=2025-01-01T00%3A00%3A00Z&sig=c2lnbmF0dXJl'
  const late = new Date(Date.now() + 20 * 60_000 + 1000).toUTCString()
  for (const [options, sentence, answer] of [
    [
      far,
      /^the clock of this machine is 20 minutes behind the one of Azure/,
      refusal('AuthenticationFailed', { date: late }),
    ],
    [far, /takes no account keys/, refusal('KeyBasedAuthenticationNotPermitted')],
    [far, /does not let us put, get and delete.*firewall/, refusal('AuthorizationFailure')],
    [far, /refuses the key/, refusal('AuthenticationFailed')],
    [{ createContainer: false }, /^there is no container test-.* storage\.azure\.createcontainer: true$/],
    [
      { credentials: { type: 'shared_key', accountKey: 'd3Jvbmc=' } },
      /refuses the key: correct storage\.azure\.accountkey/,
    ],
    [{ credentials: { type: 'sas_token', token: ended } }, /refuses the signature, which ended at 2025-01-01/],
    [
      { credentials: { type: 'client_secret', tenantId: 'adfs', clientId: 'registry', secret: 'hidden' } },
      /would get the token of an identity without TLS: write https:/,
    ],
    [{ container: 'A_b' }, /takes no container with the name A_b/],
    [
      { serviceUrl: 'http://nowhere.invalid' },
      /^there is no account registry \(.*ENOTFOUND.* storage\.azure\.accountname/,
    ],
    [{ serviceUrl: azurite.serviceUrl.replace('http:', 'https:') }, /does not speak TLS: write http:/],
  ] as const) {
    if (answer !== undefined) network.answer(answer)
    const message = await startOf(options)
    t.match(message, sentence)
    t.notMatch(message, '\n')
    for (const secret of [azurite.accountKey, 'd3Jvbmc=', 'c2lnbmF0dXJl', 'hidden']) t.notMatch(message, secret)
    await network.mend()
  }
  t.match(await startOnNobody, /does not answer as it should \(.*ECONNREFUSED.* see that this machine can reach it/)
})

void t.test('with TLS', async t => {
  const authority = await createAuthority(t.testdir())
  const pair = await authority.sign('azurite')
  const server = await startAzuriteFor(t, { tls: pair })
  const ca = await readFile(authority.certificate, 'utf8')

  t.test('a private authority is trusted when it is given, or verification can be left out', async t => {
    await t.rejects(
      createAzureDriver(optionsFor({}, server)),
      /^the certificate of .* is not trusted .* storage\.azure\.cafile$/,
    )
    for (const tls of [{ skipVerify: true }, { skipVerify: false, ca }]) {
      await using driver = await createAzureDriver(optionsFor({ tls }, server))
      await roundTrip(t, driver)
    }
  })

  t.test('the identity of the machine is enough for everything, URLs too', async t => {
    const provider = await startIdentityProvider(t)
    const options = { tls: { skipVerify: false, ca }, credentials: { type: 'default_credentials' } } as const
    setEnvironment(t, { IDENTITY_ENDPOINT: `${provider.url}/machine`, IDENTITY_HEADER: 'header' })
    await using driver = await createAzureDriver(optionsFor(options, server))
    await roundTrip(t, driver)
    const keys = await Promise.all(['a', 'b'].map(text => put(driver, 'blobs/x', Buffer.from(text))))
    await driver.delete(keys)
    for (const key of keys) t.equal(await driver.size(key), undefined)
    trustInThisProcess(t, ca)
    const keyOf = async () =>
      new URL((await driver.signUrl?.('blobs/x', { expiresMs: 60_000 })) ?? '').searchParams.get('skt')
    const key = await keyOf()
    await urlsWork(t, driver)
    t.equal(await keyOf(), key, 'the key that it signs with is kept')
    t.ok(provider.asked > 0)
  })

  t.test('an application logs in with its secret', async t => {
    const provider = await startIdentityProvider(t, pair)
    setEnvironment(t, { AZURE_AUTHORITY_HOST: provider.url })
    const tls = { skipVerify: false, ca }
    const application = { type: 'client_secret', tenantId: 'adfs', clientId: 'registry' } as const
    await using driver = await createAzureDriver(
      optionsFor({ tls, credentials: { ...application, secret: 'right' } }, server),
    )
    await roundTrip(t, driver)
    await t.rejects(
      createAzureDriver(optionsFor({ tls, credentials: { ...application, secret: 'wrong' } }, server)),
      /can not log in .* correct tenantid, clientid and secret/,
    )
    t.ok(provider.asked > 1)
  })
})

/** Where Azurite is on the far side of a network. */
function urlBy(network: BadNetwork): string {
  return network.url + new URL(azurite.serviceUrl).pathname
}

/** What a start says that fails. */
async function startOf(options: Partial<AzureOptions>): Promise<string> {
  try {
    const driver = await createAzureDriver(optionsFor(options))
    await driver[Symbol.asyncDispose]()
    return 'it started'
  } catch (error) {
    return error instanceof Error ? error.message : 'no error'
  }
}

/** What Azure says to each request. */
function refusal(code: string, headers: Record<string, string> = {}): CannedAnswer {
  return { when: /./, status: 403, headers: { ...headers, 'x-ms-error-code': code } }
}

async function roundTrip(t: Test, driver: StorageDriver): Promise<void> {
  for (const size of [10, 3 * mebibyte + 1]) {
    const bytes = randomBytes(size)
    const key = await put(driver, 'blobs/round-trip', bytes)
    t.ok((await get(driver, key, size)).equals(bytes), `${size} bytes`)
  }
}

async function urlsWork(t: Test, driver: StorageDriver): Promise<void> {
  const key = await put(driver, 'blobs/signed', Buffer.from('content'))
  const url = (await driver.signUrl?.(key, { expiresMs: 60_000 })) ?? ''
  t.equal(await (await fetch(url)).text(), 'content')
  const part = await fetch(url, { headers: { range: 'bytes=1-3' } })
  t.equal(part.status, 206)
  t.equal(await part.text(), 'ont')
  t.equal((await fetch(url, { method: 'DELETE' })).status, 403)
  const other = await put(driver, 'blobs/other', Buffer.from('secret'))
  t.equal((await fetch(url.replace(key, other))).status, 403)
  const short = (await driver.signUrl?.(key, { expiresMs: 1000 })) ?? ''
  await sleep(2500)
  t.equal((await fetch(short)).status, 403, 'expired')
}

/** The names of all that stands in a container, also of what has only blocks. */
async function everythingIn(options: AzureOptions): Promise<string[]> {
  using client = await createAzureClient(options)
  const container = client.service.getContainerClient(options.container)
  const all = await Array.fromAsync(container.listBlobsFlat({ includeUncommitedBlobs: true }))
  return all.map(({ name }) => name).toSorted()
}

/** What an operator may give us instead of the key. */
async function signatureFor(options: AzureOptions): Promise<string> {
  using client = await createAzureClient(options)
  const url = await client.service.getContainerClient(options.container).generateSasUrl({
    permissions: ContainerSASPermissions.parse('racwdl'),
    expiresOn: new Date(Date.now() + 60_000),
    version: protocolVersion,
  })
  return new URL(url).search.slice(1)
}

/**
 * What gives out tokens: to applications as AD FS does (https), or to this machine as Azure's App Service does (http).
 * Azurite takes a token of anyone if it says the right things.
 */
async function startIdentityProvider(
  t: Test,
  pair?: { certificate: string; key: string },
): Promise<{ url: string; readonly asked: number }> {
  let asked = 0
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    aud: 'https://storage.azure.com',
    iss: 'https://sts.windows.net/tenant/',
    tid: randomUUID(),
    oid: randomUUID(),
    iat: now,
    nbf: now,
    exp: now + 3600,
  }
  const parts = [{ alg: 'none', typ: 'JWT' }, claims].map(part =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const token = {
    token_type: 'Bearer',
    access_token: `${parts.join('.')}.c2ln`,
    expires_in: 3600,
    expires_on: `${now + 3600}`,
  }
  const listener: Parameters<typeof createHttpServer>[1] = (request, response) => {
    void (async () => {
      asked++
      const body = (await buffer(request)).toString()
      const refused = body.includes('client_secret=wrong')
      const configuration = {
        issuer: `${url}/adfs`,
        authorization_endpoint: `${url}/adfs/oauth2/authorize`,
        token_endpoint: `${url}/adfs/oauth2/token`,
        jwks_uri: `${url}/adfs/keys`,
      }
      const isConfiguration = request.url?.includes('openid-configuration') === true
      const answer = isConfiguration ? configuration : refused ? { error: 'invalid_client' } : token
      response.writeHead(refused ? 401 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })()
  }
  const server: Server | ReturnType<typeof createHttpServer> =
    pair === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ cert: await readFile(pair.certificate), key: await readFile(pair.key) }, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const url = `${pair === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  return {
    url,
    get asked() {
      return asked
    },
  }
}

function setEnvironment(t: Test, values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) process.env[name] = value
  t.teardown(() => {
    for (const name of Object.keys(values)) delete process.env[name]
  })
}

function trustInThisProcess(t: Test, ca: string): void {
  const before = getCACertificates()
  setDefaultCACertificates([...before, ca])
  t.teardown(() => setDefaultCACertificates(before))
}

/** What comes out of the database in another process. */
function overTheWire(state: UploadState): UploadState {
  return JSON.parse(JSON.stringify(state)) as UploadState
}
