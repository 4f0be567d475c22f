import type { S3Options } from '../../storage-drivers/s3/options.ts'
import type { Ceph } from '../services/ceph.ts'

/** The driver's options for a bucket of a gateway. */
export function s3Options({ s3 }: Pick<Ceph, 's3'>, bucket: string, more: Partial<S3Options> = {}): S3Options {
  return {
    section: 'storage.s3',
    bucket,
    region: 'us-east-1',
    endpoint: s3.endpoint,
    pathStyle: true,
    credentials: { accessKey: s3.accessKey, secretKey: s3.secretKey },
    rootdirectory: 'registry',
    chunkSize: 5 * 1024 * 1024,
    parallel: 4,
    tls: { skipVerify: false },
    dualstack: false,
    accelerate: false,
    fips: false,
    createBucket: true,
    contentKeys: false,
    bulkDelete: true,
    ...more,
  }
}
