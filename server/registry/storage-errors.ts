import { OutOfSpace, StorageUnavailable, UploadLost } from '../../storage-drivers/driver.ts'
import { RegistryError } from '../oci/errors.ts'

/** What a client is told when a blob driver fails: a RegistryError where there is one for it, else the error itself. */
export function translated(error: unknown): unknown {
  if (error instanceof UploadLost) return new RegistryError('BLOB_UPLOAD_UNKNOWN', { cause: error })
  if (error instanceof OutOfSpace) return new RegistryError('INSUFFICIENT_STORAGE', { cause: error })
  if (error instanceof StorageUnavailable)
    return new RegistryError('UNAVAILABLE', {
      message: 'the storage of blobs does not answer; try again in a moment',
      headers: { 'retry-after': '5' },
      cause: error,
    })
  return error
}

/** @throws the same */
export function rethrow(error: unknown): never {
  throw translated(error)
}
