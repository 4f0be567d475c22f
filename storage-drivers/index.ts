import type { StorageDriver } from './driver.ts'
import { createFilesystemDriver } from './filesystem/filesystem.ts'
import type { FilesystemOptions } from './filesystem/options.ts'

/** The drivers that can be configured, each by its section below `storage`. */
export interface StorageOptions {
  filesystem: FilesystemOptions
}

/** Opens the configured driver. @throws what keeps it from working, as a sentence for the operator */
export async function createStorageDriver({ filesystem }: StorageOptions): Promise<StorageDriver> {
  const driver = await createFilesystemDriver(filesystem)
  await driver.check()
  return driver
}
