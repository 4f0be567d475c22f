import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createS3Driver } from '../../storage-drivers/s3/s3.ts'
import { startCephFor } from '../services/ceph.ts'
import { startBadNetwork } from '../storage-drivers/bad-network.ts'
import { testFaults } from '../storage-drivers/faults.ts'
import { answersAt, crasherOf } from '../storage-drivers/faults/crash.ts'
import { s3Options } from '../storage-drivers/s3-options.ts'

t.setTimeout(300_000)

const ceph = await startCephFor(t)
if (ceph !== undefined) {
  const crash = crasherOf(ceph.gateway, answersAt(ceph.s3.endpoint))
  testFaults('s3', async t => {
    const network = await startBadNetwork(t, ceph.s3.endpoint)
    const options = s3Options({ s3: { ...ceph.s3, endpoint: network.url } }, `faults-${randomUUID()}`)
    return {
      network,
      open: () => createS3Driver(options),
      chunkSize: options.chunkSize,
      heads: { part: /^PUT \S*[?&]partNumber=/, commit: /^POST \S*[?&]uploadId=/ },
      refusal: {
        status: 403,
        headers: { 'content-type': 'application/xml' },
        body: '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code></Error>',
      },
      tokens: false,
      crash,
    }
  })
}
