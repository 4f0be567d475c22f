import type { StorageDriver } from '../../storage-drivers/driver.ts'
import type { StorageOptions } from '../../storage-drivers/index.ts'
import { withRememberedUrls } from '../../storage-drivers/remembered-urls.ts'
import type { Config } from '../config/config.ts'

/**
 * The driver with what `middleware.storage`, and Quay's CloudFrontedS3Storage, do to the URLs of its objects. Disposing
 * of it is disposing of the driver.
 * @throws Error with what to do
 */
export async function withMiddleware(
  driver: StorageDriver,
  { storage, middleware }: Pick<Config, 'storage' | 'middleware'>,
): Promise<StorageDriver> {
  let wrapped = driver
  let longestMs = Infinity
  if (storage.cloudfront !== undefined) {
    const { domain, keyId, privateKeyFile } = storage.cloudfront
    const { withCloudFront } = await import('../../storage-drivers/cloudfront.ts')
    // Its distribution has the root directory as its origin path.
    wrapped = withCloudFront(wrapped, { baseUrl: domain, keyPairId: keyId, privateKeyFile, folder: '' })
  }
  for (const { name, options } of middleware?.storage ?? []) {
    switch (name) {
      case 'cloudfront': {
        const { withCloudFront } = await import('../../storage-drivers/cloudfront.ts')
        wrapped = withCloudFront(wrapped, {
          baseUrl: options.baseurl,
          keyPairId: options.keypairid,
          privateKeyFile: options.privatekey,
          folder: folderOf(storage.driver),
          expiresMs: options.duration,
        })
        longestMs = options.duration ?? longestMs
        break
      }
      case 'redirect': {
        const { withBaseUrl } = await import('../../storage-drivers/url-middleware.ts')
        wrapped = withBaseUrl(wrapped, { baseUrl: options.baseurl })
        break
      }
      case 'rewrite': {
        const { withRewrittenUrls } = await import('../../storage-drivers/url-middleware.ts')
        const { scheme, host, trimpathprefix } = options
        wrapped = withRewrittenUrls(wrapped, { scheme, host, trimPathPrefix: trimpathprefix })
        break
      }
      default:
        name satisfies never
    }
  }
  return withRememberedUrls(wrapped, { longestMs })
}

/** What stands before a key in the bucket. @throws Error when objects are in no bucket that CloudFront could have */
function folderOf(driver: StorageOptions): string {
  if (driver.name === 's3') return driver.options.rootdirectory
  throw new Error(
    `the middleware cloudfront serves the objects of S3, and not of ${driver.name}: remove it from middleware.storage`,
  )
}
