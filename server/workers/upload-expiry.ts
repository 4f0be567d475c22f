import type { Logger } from '../lib/log.ts'
import type { UploadExpiry } from '../registry/upload-expiry.ts'
import type { Worker } from './loop.ts'

export interface UploadExpiryOptions {
  expiry: UploadExpiry
  ageMs: number
  intervalMs: number
  dryRun: boolean
  log: Logger
}

/** Drops uploads that no one came back to (`storage.maintenance.uploadpurging`). */
export function createUploadExpiryWorker({ expiry, ageMs, intervalMs, dryRun, log }: UploadExpiryOptions): Worker {
  return {
    name: 'upload expiry',
    everyMs: intervalMs,
    async run(signal) {
      const { uploads, bytes } = await expiry.run({ ageMs, dryRun, signal })
      if (uploads > 0)
        log.info({ uploads, bytes, dryRun }, dryRun ? 'abandoned uploads found' : 'abandoned uploads dropped')
    },
  }
}
