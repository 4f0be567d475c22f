import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { createAccess } from '../../storage-drivers/swift/access.ts'
import { createHttp } from '../../storage-drivers/swift/http.ts'
import { logIn, versionOf } from '../../storage-drivers/swift/login.ts'
import type { SwiftAuth } from '../../storage-drivers/swift/options.ts'

t.test('tells the version of the login from its URL, else from what is given', async t => {
  const password = { username: 'a', password: 'b' }
  for (const [auth, version] of [
    [{ url: 'http://h/auth/v1.0' }, 1],
    [{ url: 'http://h/auth/v1', tenant: 'x' }, 1],
    [{ url: 'http://h/v2.0/' }, 2],
    [{ url: 'http://h:5000/v2.0/tokens' }, 2],
    [{ url: 'http://h/identity/v3/auth/tokens' }, 3],
    [{ url: 'http://h:5000/v3' }, 3],
    [{ url: 'http://v3.example:5000' }, 1],
    [{ url: 'http://h:5000', tenant: 'x' }, 3],
    [{ url: 'http://h:5000', trustId: 'x' }, 3],
    [{ url: 'http://h:5000', applicationCredential: { id: 'x', secret: 'y' } }, 3],
    [{ url: 'http://h:5000/v3', version: 2 }, 2],
    [{ url: 'http://h:5000', version: 1 }, 1],
  ] as const) {
    t.equal(versionOf({ ...password, ...auth }), version, JSON.stringify(auth))
  }
})

/**
 * No server has version 2 of Keystone's API any more: this is a small one after its documents
 * (https://docs.openstack.org/api-ref/identity/v2/), and no proof.
 */
t.test('logs in by version 2, by what its documents say', async t => {
  const asked: unknown[] = []
  const server = createServer((request, response) => {
    void text(request).then(body => {
      asked.push({ path: request.url, body: JSON.parse(body) as unknown })
      const answer = {
        access: {
          token: { id: 'token-2', issued_at: '2026-01-01T00:00:00.000000', expires: '2026-01-01T01:00:00Z' },
          serviceCatalog: [
            { type: 'identity', endpoints: [{ region: 'one', publicURL: 'http://identity' }] },
            {
              type: 'object-store',
              endpoints: [
                { region: 'one', publicURL: 'http://one.public', internalURL: 'http://one.internal' },
                { region: 'two', publicURL: 'http://two.public/', internalURL: 'http://two.internal' },
              ],
            },
          ],
        },
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  await using http = createHttp({ skipVerify: false })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2.0/`
  const auth: SwiftAuth = { url, username: 'alice', password: 'secret', tenant: 'registry' }

  const first = await logIn(http, { auth, endpointType: 'public' })
  t.match(first, { token: 'token-2', storageUrl: 'http://one.public' })
  const second = await logIn(http, { auth: { ...auth, tenantId: '42' }, endpointType: 'public', region: 'two' })
  t.equal(second.storageUrl, 'http://two.public')
  const third = await logIn(http, { auth, endpointType: 'internal', region: 'two' })
  t.equal(third.storageUrl, 'http://two.internal')
  await t.rejects(logIn(http, { auth, endpointType: 'admin' }), /no admin URL of an object store/)
  await t.rejects(logIn(http, { auth, endpointType: 'public', region: 'x' }), /one, two/)
  t.same(asked[0], {
    path: '/v2.0/tokens',
    body: { auth: { passwordCredentials: { username: 'alice', password: 'secret' }, tenantName: 'registry' } },
  })
})

t.test('one login serves all who ask at once', async t => {
  let logins = 0
  const access = createAccess(async () => {
    logins++
    await setTimeout(5)
    return { token: String(logins), storageUrl: 'http://h', lifeMs: undefined }
  })
  const [first, second] = await Promise.all([access.get(), access.get()])
  t.equal(first.token, '1')
  t.equal(second, first)
  const renewed = await Promise.all([access.renew(first), access.renew(first), access.get()])
  t.same(
    renewed.map(({ token }) => token),
    ['2', '2', '1'],
    'who has a token goes on with it meanwhile',
  )
  t.equal((await access.renew(first)).token, '2', 'and who comes late finds the new one')
  t.equal(logins, 2)
})

t.test('a login that failed is begun again by the next who asks', async t => {
  let logins = 0
  const access = createAccess(async () => {
    if (++logins === 1) throw new Error('not yet')
    return { token: 'good', storageUrl: 'http://h', lifeMs: undefined }
  })
  await t.rejects(access.get(), /not yet/)
  t.equal((await access.get()).token, 'good')
})

t.test('a token is renewed before its end while the old one is used, and not used behind it', async t => {
  let logins = 0
  const access = createAccess(async () => {
    logins++
    return { token: String(logins), storageUrl: 'http://h', lifeMs: 400 }
  })
  t.equal((await access.get()).token, '1')
  await setTimeout(320)
  t.equal((await access.get()).token, '1', 'nobody waits for the next one')
  t.equal(logins, 2)
  await setTimeout(1)
  t.equal((await access.get()).token, '2')
  await setTimeout(450)
  t.equal((await access.get()).token, '3')
})
