import t from 'tap'
import { serveKeystone, serveSwift } from '../storage-drivers/swift-servers.ts'
import { testSwiftFaults } from './swift-faults.ts'

t.setTimeout(300_000)

const keystone = await serveKeystone()
const swift = keystone && (await serveSwift({ keystone }))
if (keystone !== undefined && swift !== undefined) {
  const { username, password, project, projectId } = keystone.user
  testSwiftFaults({
    endpoint: swift.endpoint,
    process: swift.proxy,
    // The catalog names the server itself, and not the network before it.
    login: url => ({
      auth: { url: `${keystone.url}/v3`, username, password, tenant: project },
      storageUrl: `${url}/v1/AUTH_${projectId}`,
    }),
  })
}
