import type { AzureOptions } from './azure/options.ts'
import type { StorageDriver } from './driver.ts'
import type { FilesystemOptions } from './filesystem/options.ts'
import type { S3Options } from './s3/options.ts'
import type { SwiftOptions } from './swift/options.ts'

/** The drivers there are, each with what it is made from. */
export type StorageOptions =
  | { name: 'filesystem'; options: FilesystemOptions }
  | { name: 's3'; options: S3Options }
  | { name: 'swift'; options: SwiftOptions }
  | { name: 'azure'; options: AzureOptions }

/** What the driver of this name is made from. */
export type OptionsOf<Name extends StorageOptions['name']> = Extract<StorageOptions, { name: Name }>['options']

/**
 * Opens the configured driver and sees that its back end takes and gives bytes.
 * @throws what keeps it from working, as a sentence for the operator
 */
export async function createStorageDriver(storage: StorageOptions): Promise<StorageDriver> {
  await using stack = new AsyncDisposableStack()
  const driver = stack.use(await open(storage))
  await driver.check()
  stack.move()
  return driver
}

/** Loads the one that is asked for: the clients of the others are large. */
async function open(storage: StorageOptions): Promise<StorageDriver> {
  switch (storage.name) {
    case 'filesystem': {
      const { createFilesystemDriver } = await import('./filesystem/filesystem.ts')
      return createFilesystemDriver(storage.options)
    }
    case 's3': {
      const { createS3Driver } = await import('./s3/s3.ts')
      return createS3Driver(storage.options)
    }
    case 'swift': {
      const { createSwiftDriver } = await import('./swift/swift.ts')
      return createSwiftDriver(storage.options)
    }
    case 'azure': {
      const { createAzureDriver } = await import('./azure/azure.ts')
      return createAzureDriver(storage.options)
    }
    default:
      return storage satisfies never
  }
}
