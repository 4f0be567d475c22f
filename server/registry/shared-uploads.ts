import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { UploadState } from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import type { Database } from '../metadata/database.ts'
import {
  findUpload,
  holdSeconds,
  holdUpload,
  insertUpload,
  removeUpload,
  saveUpload,
  type UploadKey,
  type UploadRow,
} from '../metadata/uploads.ts'
import { RegistryError } from '../oci/errors.ts'
import { heldError, lostError, trackEveryMs, type UploadHold, type UploadSessions } from './upload-sessions.ts'

/** Without a renewal for so long the hold counts as lost: one that is late is borne, two in a row are not. */
const longestSilenceMs = trackEveryMs * 1.5
const releaseEveryMs = 1000
/** Uploads of which it is remembered who held them last, and for how long: Postgres writes down within a second. */
const remembered = { max: 4096, ttl: 10_000 }
/** How many of them are remembered of one upload. */
const holdersKept = 64

/**
 * Upload sessions of processes that share a database. A hold is two columns of the upload's row, with an end in time; while
 * the request runs it is renewed, and how far the upload has come is written down on the way. A process that dies lets
 * go by itself when the time is over.
 */
export function createSharedUploads({ database, log }: { database: Database; log: Logger }): UploadSessions {
  /**
   * By upload, the last holders of this process that have let go. A crash of Postgres may undo that, since it does not
   * wait for the disk here, or may take away the answer to a hold that was had: then the row names one who is gone.
   */
  const gone = new LRUCache<string, readonly string[]>(remembered)

  function noteGone(id: string, holder: string): void {
    gone.set(id, [holder, ...(gone.get(id) ?? [])].slice(0, holdersKept))
  }

  async function take(key: UploadKey, holder: string): Promise<UploadRow | undefined> {
    const { id } = key
    try {
      const row = await holdUpload(database, key, holder)
      if (row !== undefined) return row
      for (const left of gone.get(id) ?? []) {
        if (await saveUpload(database, id, left, { release: true })) return await holdUpload(database, key, holder)
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
    begin: upload => insertUpload(database, upload),
    find: key => findUpload(database, key),
    cancel: key => removeUpload(database, key),
    // Those that are held are left out where rows are taken.
    mayExpire: () => true,
    settle: async () => {},
    // All is in the rows, which are changed together with the repository's; whoever writes hears of it in a moment.
    removing: (_gone, work) => work(),

    async hold(key) {
      const holder = randomUUID()
      const heldSince = performance.now()
      const row = await take(key, holder)
      if (row === undefined) {
        if ((await findUpload(database, key)) === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
        throw heldError()
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
    }, trackEveryMs)

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
