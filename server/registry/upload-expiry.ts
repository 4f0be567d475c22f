import type { StorageDriver } from '../../storage-drivers/driver.ts'
import type { Database } from '../metadata/database.ts'
import { countExpiredUploads, removeUploads, takeExpiredUploads } from '../metadata/uploads.ts'

export interface UploadExpiry {
  /**
   * Drops the uploads that were begun more than `ageMs` ago and that no one writes to, with their bytes.
   * @returns how many there were, and the bytes that they held
   */
  run(options: { ageMs: number; dryRun: boolean; signal: AbortSignal }): Promise<{ uploads: number; bytes: number }>
}

/** So many are locked at a time. */
const batch = 100

export function createUploadExpiry({ database, driver }: { database: Database; driver: StorageDriver }): UploadExpiry {
  /** Bytes first, then the rows: what fails on the way is found again the next time. */
  const dropSome = (ageSeconds: number) =>
    database.transaction(async tx => {
      const rows = await takeExpiredUploads(tx, { ageSeconds, limit: batch })
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
      if (dryRun) return countExpiredUploads(database, { ageSeconds })
      const total = { uploads: 0, bytes: 0 }
      for (let last = batch; last === batch && !signal.aborted;) {
        const dropped = await dropSome(ageSeconds)
        total.uploads += dropped.uploads
        total.bytes += dropped.bytes
        last = dropped.uploads
      }
      return total
    },
  }
}
