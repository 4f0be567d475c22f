import type { Logger } from '../lib/log.ts'
import type { Health } from '../registry/health.ts'
import type { UploadExpiry } from '../registry/upload-expiry.ts'
import type { Worker } from './loop.ts'
import { createEndedLoginsWorker } from './ended-logins.ts'
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

/** What the background work is done by. */
export interface WorkerServices {
  uploadExpiry: UploadExpiry
  health: Pick<Health, 'checks'>
  access: { accounts: { operations: { sessions: { removeEnded: () => Promise<void> } } } | undefined }
}

/** All background work, as the configuration wants it. */
export function createWorkers(
  { uploadpurging }: WorkerOptions,
  { uploadExpiry, health, access }: WorkerServices,
  log: Logger,
): Worker[] {
  const { enabled, age, interval, dryrun } = uploadpurging
  const expiry = { expiry: uploadExpiry, ageMs: age, intervalMs: interval, dryRun: dryrun, log }
  return [
    ...health.checks,
    ...(enabled ? [createUploadExpiryWorker(expiry)] : []),
    ...(access.accounts === undefined ? [] : [createEndedLoginsWorker(access.accounts.operations.sessions)]),
  ]
}
