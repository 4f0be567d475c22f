import type { UploadState } from '../../storage-drivers/driver.ts'
import type { UploadKey, UploadRow } from '../metadata/uploads.ts'
import type { DigestAlgorithm } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryMemory } from './repositories.ts'

/**
 * The upload sessions that clients have begun: how far each has come, and that one request at a time writes to it. Where
 * several processes share a database they agree through it (shared-uploads.ts); one that is alone keeps them to itself
 * and writes them down as they come to rest (own-uploads.ts). When a repository is deleted, the uploads to it are no
 * one's any more, also where another repository of its name comes.
 */
export interface UploadSessions extends RepositoryMemory {
  begin(upload: NewUpload): Promise<void>
  find(key: UploadKey): Promise<UploadRow | undefined>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN; BLOB_UPLOAD_INVALID (409) while another request has it */
  hold(key: UploadKey): Promise<UploadHold>
  /** Ends an upload, durably, also under a request that writes to it. @returns it, or undefined when there is none */
  cancel(key: UploadKey): Promise<UploadRow | undefined>
  /** Whether an upload that was begun long ago may go: then no request gets it any more. */
  mayExpire(id: string): boolean
  /** Writes down what is not; to be called when no request comes any more, before the database is let go of. */
  settle(): Promise<void>
}

export interface NewUpload extends UploadKey {
  algorithm: DigestAlgorithm | null
  location: string
}

/** The right of one request to write to an upload. */
export interface UploadHold {
  readonly row: UploadRow
  /** Aborted when the hold was lost: its holder must write no more. */
  readonly signal: AbortSignal
  /** Called now and then to learn how far the upload has come. */
  trackProgress(state: () => Promise<UploadState>): void
  /** Writes down the state and gives the upload back. */
  save(state: UploadState): Promise<void>
  /** Gives the upload back as it was saved last. */
  release(): Promise<void>
  /** The upload has become a blob, and its row was ended with that. */
  ended(): void
}

/** While a request writes, how far it has come is written down so often. */
export const trackEveryMs = 5_000

export function heldError(): RegistryError {
  return new RegistryError('BLOB_UPLOAD_INVALID', {
    status: 409,
    message: 'another request is writing to this upload; ask for its status and go on from there when it has ended',
  })
}

export function lostError(): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: 'this upload was taken from the process that wrote to it; ask for its status and go on from there',
    headers: { 'retry-after': '1' },
  })
}
