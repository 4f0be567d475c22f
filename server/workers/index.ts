import type { Logger } from '../lib/log.ts'
import type { UploadExpiry } from '../registry/upload-expiry.ts'
import type { Worker } from './loop.ts'
import { createUploadExpiryWorker } from './upload-expiry.ts'

/** What the configuration says of background work; spans of time in milliseconds. */
export interface WorkerOptions {
  uploadpurging: {
    readonly enabled: boolean
    readonly age: number
    readonly interval: number
    readonly dryrun: boolean
  }
}

/** All background work, as the configuration wants it. */
export function createWorkers(
  { uploadpurging }: WorkerOptions,
  { uploadExpiry }: { uploadExpiry: UploadExpiry },
  log: Logger,
): Worker[] {
  if (!uploadpurging.enabled) return []
  return [
    createUploadExpiryWorker({
      expiry: uploadExpiry,
      ageMs: uploadpurging.age,
      intervalMs: uploadpurging.interval,
      dryRun: uploadpurging.dryrun,
      log,
    }),
  ]
}
