/** What the S3 driver is made from. Sizes in bytes. */
export interface S3Options {
  /** Where the settings stand that sentences for the operator name: `storage.s3`, or another name of this driver. */
  section: string
  bucket: string
  region: string
  /** The URL of a server that is not Amazon's. */
  endpoint?: string
  /** Under which URL clients reach that server, where it is another one. */
  redirectEndpoint?: string
  /** `https://server/bucket/key` and not `https://bucket.server/key`. */
  pathStyle: boolean
  /** Without them the usual chain is asked: environment, files, web identity, the machine's role. */
  credentials?: S3Credentials
  /** The folder in the bucket; '' for none. */
  rootdirectory: string
  /** Bytes of a part. */
  chunkSize: number
  /** Parts of one upload that are on their way at a time. */
  parallel: number
  tls: { skipVerify: boolean; ca?: string }
  encryption?: { algorithm: 'AES256' | 'aws:kms'; keyId?: string }
  storageClass?: string
  acl?: string
  userAgent?: string
  /** Amazon's own kinds of endpoints. */
  dualstack: boolean
  accelerate: boolean
  fips: boolean
  /** Whether a bucket that is missing is made at the start. */
  createBucket: boolean
  /**
   * Whether a blob gets the key that its digest gives where that is possible without a copy: where the digest is known
   * when the upload begins, and where the blob is smaller than a part.
   */
  contentKeys: boolean
  /** Whether the server takes requests that delete many objects at once. */
  bulkDelete: boolean
}

export type S3Credentials =
  | { accessKey: string; secretKey: string; sessionToken?: string }
  /** A role that is assumed, with these keys or with what the chain finds. */
  | { role: string; accessKey?: string; secretKey?: string }

/** The smallest part that S3 takes, but for the last one of an object. */
export const smallestPart = 5 * 1024 * 1024
