import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import type { SwiftAuth, SwiftOptions } from '../../storage-drivers/swift/options.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { get, put, testDriver } from './contract.ts'
import { serveKeystone, serveSwift, swiftOptions } from './swift-servers.ts'

function open(auth: SwiftAuth, rest: Partial<SwiftOptions> = {}): Promise<StorageDriver> {
  return createSwiftDriver(swiftOptions({ auth, container: `test-${randomUUID()}`, ...rest }))
}

const keystone = await serveKeystone()
const swift = keystone && (await serveSwift({ keystone }))
if (keystone !== undefined && swift !== undefined) {
  const { user, stranger } = keystone
  const url = `${keystone.url}/v3`
  const byPassword: SwiftAuth = { url, username: user.username, password: user.password, tenant: user.project }
  const secret = 'a secret of its own'
  const id = await keystone.addCredential({ name: 'registry', secret })

  testDriver('swift', async () => {
    const container = `test-${randomUUID()}`
    return () => createSwiftDriver(swiftOptions({ auth: byPassword, container }))
  })

  t.test('logs in by whatever names or ids say who it is', async t => {
    const trustId = await keystone.addTrust()
    const { password } = user
    const ways: Record<string, SwiftAuth> = {
      'by ids': { url, userId: user.id, password, tenantId: user.projectId },
      'by a URL without a version': { ...byPassword, url: keystone.url },
      'by the URL of the tokens': { ...byPassword, url: `${url}/auth/tokens/` },
      'by a version that is told': { ...byPassword, url: `${keystone.url}/v2.0`, version: 3 },
      'in a domain by its name': { ...byPassword, domain: 'Default', tenantDomain: 'Default' },
      'in a domain by its id': { ...byPassword, domainId: 'default', tenantDomainId: 'default' },
      'in another domain': {
        url,
        username: stranger.username,
        password: stranger.password,
        domain: stranger.domain,
        tenant: stranger.project,
      },
      'in another domain by its id': {
        url,
        username: stranger.username,
        password: stranger.password,
        domainId: stranger.domainId,
        tenant: stranger.project,
        tenantDomain: stranger.domain,
      },
      'by a trust': { url, username: user.username, password, trustId },
      'by the name of an application credential': {
        url,
        username: user.username,
        applicationCredential: { name: 'registry', secret },
      },
    }
    for (const [way, auth] of Object.entries(ways)) {
      await using driver = await open(auth, { region: keystone.region, endpointType: 'internal' })
      const key = await put(driver, 'blobs/a', Buffer.from('content'))
      t.equal((await get(driver, key, 7)).toString(), 'content', way)
    }
  })

  t.test('signs URLs in the account of a project', async t => {
    await using driver = await open(byPassword)
    const key = await put(driver, 'blobs/a', Buffer.from('content'))
    const signed = await driver.signUrl?.(key, { expiresMs: 60_000 })
    t.equal(await (await fetch(signed ?? '')).text(), 'content')
  })

  t.test('takes the URL of the settings in place of the one in the catalog', async t => {
    await using driver = await open(byPassword, { storageUrl: `${swift.endpoint}/v1/AUTH_${user.projectId}/` })
    await t.resolves(driver.check())
    await t.rejects(open(byPassword, { storageUrl: `${swift.endpoint}/v1/AUTH_other` }), {
      message: /may not use the container test-/,
    })
  })

  t.test('says by a sentence why Keystone lets nobody in', async t => {
    const refused = (auth: SwiftAuth, message: RegExp, rest: Partial<SwiftOptions> = {}) =>
      t.rejects(open(auth, rest), { message })
    await refused(
      { ...byPassword, password: 'wrong' },
      /refuses the user alice for the project registry: .*storage\.swift\.password/,
    )
    await refused({ ...byPassword, domain: 'corp' }, /refuses the user alice/)
    await refused({ ...byPassword, tenant: 'other' }, /for the project other: .*storage\.swift\.tenant/)
    await refused(
      { url, applicationCredential: { id, secret: 'wrong' } },
      /refuses the application credential .*storage\.swift\.applicationcredentialsecret/,
    )
    await refused({ ...byPassword, trustId: 'none' }, /storage\.swift\.trustid/)
    await refused(byPassword, /region Nowhere .*storage\.swift\.region.*RegionOne/, { region: 'Nowhere' })
    await refused({ ...byPassword, version: 2 }, /there is no login of version 2.*storage\.swift\.authversion/)
    const { tenant: _tenant, ...unscoped } = byPassword
    await refused(unscoped, /without a project has no public URL.*storage\.swift\.tenant/, {})
  })
}
