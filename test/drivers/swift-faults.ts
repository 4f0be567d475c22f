import { randomUUID } from 'node:crypto'
import type { StartedProcess } from '../../conformance/process.ts'
import type { SwiftOptions } from '../../storage-drivers/swift/options.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { startBadNetwork } from '../storage-drivers/bad-network.ts'
import { testFaults } from '../storage-drivers/faults.ts'
import { answersAt, crasherOf } from '../storage-drivers/faults/crash.ts'
import { swiftOptions } from '../storage-drivers/swift-servers.ts'

export interface SwiftServer {
  /** Of the server that the driver's requests go to, without a path. */
  endpoint: string
  /** The one that listens there. */
  process: StartedProcess
  /** How the driver logs in, by way of the network, whose URL it is given. */
  login: (networkUrl: string) => Pick<SwiftOptions, 'auth'> & Partial<SwiftOptions>
}

/** The suite of faults on a server that speaks Swift. */
export function testSwiftFaults({ endpoint, process, login }: SwiftServer): void {
  const crash = crasherOf(process, answersAt(endpoint))
  testFaults('swift', async t => {
    const network = await startBadNetwork(t, endpoint)
    const options = swiftOptions({ ...login(network.url), container: `faults-${randomUUID()}` })
    return {
      network,
      open: () => createSwiftDriver(options),
      chunkSize: options.chunkSize,
      heads: { part: /^PUT (?!\S*multipart-manifest)\S*\/segments\//, commit: /^PUT \S*[?&]multipart-manifest=put/ },
      refusal: { status: 401, headers: { 'content-type': 'text/plain' }, body: 'Unauthorized' },
      tokens: true,
      crash,
    }
  })
}
