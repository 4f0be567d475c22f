import { randomUUID } from 'node:crypto'
import type { UploadState } from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import type { Database } from '../metadata/database.ts'
import { findUpload, holdSeconds, holdUpload, removeUpload, saveUpload, type UploadRow } from '../metadata/uploads.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'

/**
 * One request at a time writes to an upload, whichever process it reaches. A hold is a column of the upload's row with
 * an end in time; while the request runs it is renewed, and how far the upload has come is written down on the way. A
 * process that dies lets go by itself when the time is over.
 */
export interface UploadHold {
  readonly row: UploadRow
  /** Aborted when the hold was lost (the database was away for too long): its holder must write no more. */
  readonly signal: AbortSignal
  /** Called at each renewal to learn how far the upload has come. */
  trackProgress(state: () => Promise<UploadState>): void
  /** Writes down the state and gives the upload back. */
  save(state: UploadState): Promise<void>
  /** Gives the upload back as it was saved last. */
  release(): Promise<void>
  /** Ends the upload. */
  remove(): Promise<void>
  /** The upload's row was ended by another statement. */
  ended(): void
}

export interface UploadHolds {
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN; BLOB_UPLOAD_INVALID (409) while another request has it */
  hold(repository: RepositoryName, id: string): Promise<UploadHold>
}

const renewEveryMs = (holdSeconds * 1000) / 3

export function createUploadHolds({ database, log }: { database: Database; log: Logger }): UploadHolds {
  return {
    async hold(repository, id) {
      const holder = randomUUID()
      const heldSince = performance.now()
      const row = await holdUpload(database, repository, id, holder)
      if (row === undefined) {
        if ((await findUpload(database, repository, id)) === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
        throw new RegistryError('BLOB_UPLOAD_INVALID', {
          status: 409,
          message:
            'another request is writing to this upload; ask for its status and go on from there when it has ended',
        })
      }
      return createHold(row, holder, heldSince)
    },
  }

  function createHold(row: UploadRow, holder: string, heldSince: number): UploadHold {
    const lost = new AbortController()
    let progress: (() => Promise<UploadState>) | undefined
    let lastRenewed = heldSince
    let renewing: Promise<void> = Promise.resolve()

    async function renew(): Promise<void> {
      const started = performance.now()
      try {
        const state = await progress?.()
        if (await saveUpload(database, row.id, holder, { state, release: false })) lastRenewed = started
        else lost.abort(lostError())
      } catch (error) {
        log.warn({ err: error, upload: row.id }, 'upload not renewed')
        // Counted on this process's own clock from before the last renewal: never later than the database counts.
        if (performance.now() - lastRenewed > holdSeconds * 1000 - renewEveryMs) lost.abort(lostError())
      }
    }
    const timer = setInterval(() => {
      renewing = renewing.then(renew)
    }, renewEveryMs)

    /** No renewal may come after the last word. */
    async function stop(): Promise<void> {
      clearInterval(timer)
      await renewing
    }

    return {
      row,
      signal: lost.signal,
      trackProgress: state => (progress = state),
      async save(state) {
        await stop()
        if (!(await saveUpload(database, row.id, holder, { state, release: true }))) throw lostError()
      },
      async release() {
        await stop()
        await saveUpload(database, row.id, holder, { release: true })
      },
      async remove() {
        await stop()
        await removeUpload(database, row.id, holder)
      },
      ended: () => clearInterval(timer),
    }
  }
}

function lostError(): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: 'this upload was taken from the process that wrote to it; ask for its status and go on from there',
    headers: { 'retry-after': '1' },
  })
}
