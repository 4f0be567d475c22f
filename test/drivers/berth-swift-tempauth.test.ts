import { serveSwift } from '../storage-drivers/swift-servers.ts'
import { testSwiftServer } from './swift-server.ts'

// Continuous integration has forty minutes, and runs them in full on the Swift of a RADOS Gateway.
const inCI = process.env['CI'] === 'true'

const swift = await serveSwift()
if (swift !== undefined)
  testSwiftServer('Swift with its own login', swift.tempAuth, { process: swift.proxy, brief: inCI })
