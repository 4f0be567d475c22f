import { serveKeystone, serveSwift } from '../storage-drivers/swift-servers.ts'
import { testSwift } from './swift-server.ts'

// Continuous integration has forty minutes, and runs them in full on the Swift of a RADOS Gateway.
const inCI = process.env['CI'] === 'true'

const keystone = await serveKeystone()
const swift = keystone && (await serveSwift({ keystone }))
if (keystone !== undefined && swift !== undefined) {
  const { username, password, project } = keystone.user
  testSwift(
    'Swift with Keystone',
    {
      AUTHURL: `${keystone.url}/v3`,
      USERNAME: username,
      PASSWORD: password,
      TENANT: project,
      TENANTDOMAIN: 'Default',
      DOMAIN: 'Default',
    },
    { process: swift.proxy, url: `${swift.endpoint}/info` },
    { brief: inCI },
  )
}
