import { LRUCache } from 'lru-cache'
import type { UploadState, WriteSession } from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import type { UploadRow } from '../metadata/uploads.ts'

/** Write sessions that stay open for a moment behind a request: most uploads get their next one at once. */
export interface OpenUploads {
  /** The session of the upload, if it is open and stands where the row does; whoever takes it closes it. */
  take(row: UploadRow): WriteSession | undefined
  keep(id: string, session: WriteSession, state: UploadState): void
  drop(id: string): void
}

/** Each is an open file, or a connection. */
const limits = { max: 128, ttl: 1_000, ttlAutopurge: true }

export function createOpenUploads(log: Logger): OpenUploads {
  const taken = new WeakSet<WriteSession>()
  const open = new LRUCache<string, { session: WriteSession; offset: number }>({
    ...limits,
    dispose({ session }, id) {
      if (taken.has(session)) return
      session.close().catch((error: unknown) => log.warn({ err: error, upload: id }, 'upload not closed'))
    },
  })

  return {
    take(row) {
      const kept = open.get(row.id)
      if (kept === undefined) return undefined
      const fits = kept.offset === row.byte_offset
      if (fits) taken.add(kept.session)
      open.delete(row.id)
      return fits ? kept.session : undefined
    },
    keep(id, session, { offset }) {
      taken.delete(session)
      open.set(id, { session, offset })
    },
    drop: id => void open.delete(id),
  }
}
