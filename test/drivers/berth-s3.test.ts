import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createS3Driver } from '../../storage-drivers/s3/s3.ts'
import { startCephFor } from '../services/ceph.ts'
import { answersAt, crasherOf } from '../storage-drivers/faults/crash.ts'
import { s3Options } from '../storage-drivers/s3-options.ts'
import { testServer } from './whole-server.ts'

const ceph = await startCephFor(t)
if (ceph !== undefined) {
  const { endpoint, accessKey, secretKey } = ceph.s3
  const crash = crasherOf(ceph.gateway, answersAt(endpoint))
  testServer('storage.s3 on a RADOS Gateway', async () => {
    const bucket = `berth-${randomUUID()}`
    // Berth finds the bucket there, as its operator made it.
    await (await createS3Driver(s3Options(ceph, bucket)))[Symbol.asyncDispose]()
    return {
      config: {
        version: '0.1',
        storage: {
          s3: {
            bucket,
            region: 'us-east-1',
            regionendpoint: endpoint,
            accesskey: accessKey,
            secretkey: secretKey,
            forcepathstyle: true,
            rootdirectory: '/registry',
          },
        },
      },
      crash,
    }
  })
}
