import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { UploadState } from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import type { Database } from '../metadata/database.ts'
import { findUpload, holdSeconds, holdUpload, saveUpload, type UploadRow } from '../metadata/uploads.ts'
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
  /** Gives the upload back as it was saved last; goes on trying when the database is away just then. */
  release(): Promise<void>
  /** The upload's row was ended by another statement. */
  ended(): void
}

export interface UploadHolds {
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN; BLOB_UPLOAD_INVALID (409) while another request has it */
  hold(repository: RepositoryName, id: string): Promise<UploadHold>
}

const renewEveryMs = (holdSeconds * 1000) / 3
/** Without a renewal for so long the hold counts as lost: one that is late is borne, two in a row are not. */
const longestSilenceMs = renewEveryMs * 1.5
const releaseEveryMs = 1000
/** Uploads of which it is remembered who held them last, and for how long: Postgres writes down within a second. */
const remembered = { max: 4096, ttl: 10_000 }
/** How many of them are remembered of one upload. */
const holdersKept = 64

export function createUploadHolds({ database, log }: { database: Database; log: Logger }): UploadHolds {
  /**
   * By upload, the last holders of this process that have let go. A crash of Postgres may undo that, since it does not
   * wait for the disk here, or may take away the answer to a hold that was had: then the row names one who is gone.
   */
  const gone = new LRUCache<string, readonly string[]>(remembered)

  function noteGone(id: string, holder: string): void {
    gone.set(id, [holder, ...(gone.get(id) ?? [])].slice(0, holdersKept))
  }

  async function take(repository: RepositoryName, id: string, holder: string): Promise<UploadRow | undefined> {
    try {
      const row = await holdUpload(database, repository, id, holder)
      if (row !== undefined) return row
      for (const left of gone.get(id) ?? []) {
        if (await saveUpload(database, id, left, { release: true }))
          return await holdUpload(database, repository, id, holder)
      }
      return undefined
    } catch (error) {
      noteGone(id, holder)
      void releaseLater(id, holder)
      throw error
    }
  }

  /** The client comes back before the hold is over by itself, and should not be refused then. */
  async function releaseLater(id: string, holder: string): Promise<void> {
    const over = performance.now() + holdSeconds * 1000
    for (let held = true; held && performance.now() < over;) {
      await sleep(releaseEveryMs, undefined, { ref: false })
      held = await saveUpload(database, id, holder, { release: true }).then(
        () => false,
        () => true,
      )
    }
  }

  return {
    async hold(repository, id) {
      const holder = randomUUID()
      const heldSince = performance.now()
      const row = await take(repository, id, holder)
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
      }
    }
    const timer = setInterval(() => {
      // Counted on this process's own clock from before the last renewal, so never later than the database counts; and
      // counted here, since a database that went silent keeps a renewal waiting for longer than the hold lasts.
      if (performance.now() - lastRenewed > longestSilenceMs) lost.abort(lostError())
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
        noteGone(row.id, holder)
      },
      async release() {
        await stop()
        try {
          await saveUpload(database, row.id, holder, { release: true })
        } catch (error) {
          void releaseLater(row.id, holder)
          throw error
        } finally {
          noteGone(row.id, holder)
        }
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
