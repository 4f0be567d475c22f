import { serveSwift } from '../storage-drivers/swift-servers.ts'
import { testSwiftServer } from './swift-server.ts'

const swift = await serveSwift()
if (swift !== undefined)
  testSwiftServer('Swift with its own login', swift.tempAuth, { process: swift.proxy, brief: true })
