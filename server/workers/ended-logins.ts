import type { Worker } from './loop.ts'

/** Takes away sessions and codes that have ended. They are of no use by then; this is for the room that they take. */
export function createEndedLoginsWorker({ removeEnded }: { removeEnded: () => Promise<void> }): Worker {
  return { name: 'ended logins', everyMs: 3_600_000, run: removeEnded }
}
