import type { StorageDriver } from '../../storage-drivers/driver.ts'
import type { Database } from '../metadata/database.ts'
import { countExpiredUploads, isKnownState, removeUploads, takeExpiredUploads } from '../metadata/uploads.ts'
import type { UploadSessions } from './upload-sessions.ts'

export interface UploadExpiry {
  /**
   * Drops the uploads that were begun more than `ageMs` ago and that no one writes to, with their bytes; and what else
   * the store has of uploads that nothing was written to for so long, left by processes that were killed.
   * @returns how many there were, and the bytes that they held
   */
  run(options: { ageMs: number; dryRun: boolean; signal: AbortSignal }): Promise<{ uploads: number; bytes: number }>
}

/** What was written to within the last minute is never taken for abandoned. */
const youngMs = 60_000
/** So many are locked at a time. */
const batch = 100

export interface UploadExpiryOptions {
  database: Database
  sessions: UploadSessions
  driver: StorageDriver
}

export function createUploadExpiry({ database, sessions, driver }: UploadExpiryOptions): UploadExpiry {
  /** Bytes first, then the rows: what fails on the way is found again the next time. */
  const dropSome = (ageSeconds: number) =>
    database.transaction(async tx => {
      const taken = await takeExpiredUploads(tx, { ageSeconds, limit: batch })
      const rows = taken.filter(row => sessions.mayExpire(row.id))
      for (const { byte_offset: offset, driver_state: state } of rows) {
        if (state !== null) await driver.dropUpload({ offset, driver: state })
      }
      await removeUploads(
        tx,
        rows.map(row => row.id),
      )
      return { uploads: rows.length, bytes: rows.reduce((sum, row) => sum + row.byte_offset, 0) }
    })

  return {
    async run({ ageMs, dryRun, signal }) {
      const ageSeconds = ageMs / 1000
      // An upload that is written to has its state in its row within seconds; until then only its youth tells.
      const before = new Date(Date.now() - Math.max(ageMs, youngMs))
      if (dryRun) return countExpiredUploads(database, { ageSeconds })
      const total = { uploads: 0, bytes: 0 }
      for (let last = batch; last === batch && !signal.aborted;) {
        const dropped = await dropSome(ageSeconds)
        total.uploads += dropped.uploads
        total.bytes += dropped.bytes
        last = dropped.uploads
      }
      for await (const state of driver.abandonedUploads(before)) {
        if (signal.aborted) break
        if (await isKnownState(database, state.driver)) continue
        await driver.dropUpload(state)
        total.uploads += 1
        total.bytes += state.offset
      }
      return total
    },
  }
}
