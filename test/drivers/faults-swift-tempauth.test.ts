import t from 'tap'
import { serveSwift } from '../storage-drivers/swift-servers.ts'
import { testSwiftFaults } from './swift-faults.ts'

t.setTimeout(300_000)

const swift = await serveSwift()
if (swift !== undefined) {
  const { username, password } = swift.tempAuth
  testSwiftFaults({
    endpoint: swift.endpoint,
    process: swift.proxy,
    login: url => ({ auth: { url: `${url}/auth/v1.0`, username, password } }),
  })
}
