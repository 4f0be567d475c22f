import { randomUUID } from 'node:crypto'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { testDriver } from './contract.ts'
import { serveKeystone, serveSwift, swiftOptions } from './swift-servers.ts'

const keystone = await serveKeystone()
const swift = keystone && (await serveSwift({ keystone }))
if (keystone !== undefined && swift !== undefined) {
  const secret = 'a secret of its own'
  const id = await keystone.addCredential({ name: 'registry', secret })

  testDriver('swift', async () => {
    const container = `test-${randomUUID()}`
    const auth = { url: `${keystone.url}/v3`, applicationCredential: { id, secret } }
    return () => createSwiftDriver(swiftOptions({ auth, container }))
  })
}
