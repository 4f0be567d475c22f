import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createS3Driver } from '../../storage-drivers/s3/s3.ts'
import { startCephFor } from '../services/ceph.ts'
import { testDriver } from './contract.ts'
import { s3Options } from './s3-options.ts'

const ceph = await startCephFor(t)
if (ceph !== undefined) {
  testDriver('s3', async () => {
    const options = s3Options(ceph, `test-${randomUUID()}`)
    return () => createS3Driver(options)
  })
}
