import type { UploadState } from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import type { Database } from '../metadata/database.ts'
import {
  abandonUploads,
  findUpload,
  nobody,
  removeUpload,
  storeUploads,
  type UploadKey,
  type UploadRow,
} from '../metadata/uploads.ts'
import { RegistryError } from '../oci/errors.ts'
import { heldError, lostError, trackEveryMs, type UploadHold, type UploadSessions } from './upload-sessions.ts'

/** An upload that this process knows, as it is just now. */
interface Own {
  row: UploadRow
  /** The request that has it. */
  holder: AbortController | undefined
  /** What the database has of it: nothing, something older, or all. */
  stored: 'nothing' | 'older' | 'all'
  /** It is being written down. */
  onTheWay: boolean
}

/** Uploads that are all in the database are dropped from memory beyond so many. */
const kept = 4096
/** Uploads that wait to be written down; who begins one more waits with them. */
const mostDue = 2048
/** A small upload is written down so late: most are over by then, and were never in the database. */
const laterMs = 50
/** Bytes of a small one: who loses them sends them again. */
const small = 256 * 1024

/**
 * Upload sessions of a process that is alone on its database: what it has in memory is the truth. A small blob that comes
 * in three requests is never written down; one with more bytes is before its request is answered, many in one statement.
 */
export function createOwnUploads({ database, log }: { database: Database; log: Logger }): UploadSessions {
  const known = new Map<string, Own>()
  /** To be written down. Those that a request has are not, unless it says so: most become a blob next. */
  const due = new Set<Own>()
  let storing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  async function get(key: UploadKey): Promise<Own | undefined> {
    const own = known.get(key.id)
    if (own !== undefined) return isOf(own.row, key) ? own : undefined
    const row = await findUpload(database, key)
    if (row === undefined) return undefined
    // Another request may have asked for it meanwhile, and may even have it.
    const found: Own = known.get(key.id) ?? { row, holder: undefined, stored: 'all', onTheWay: false }
    known.set(key.id, found)
    return found
  }

  /** Writes down all that is not; who comes while that is being done shares the next turn. */
  async function store(): Promise<void> {
    await storing?.catch(() => {})
    storing ??= storeOnce().finally(() => (storing = undefined))
    await storing
  }

  async function storeOnce(): Promise<void> {
    // Those who wait for the same turn get there.
    await Promise.resolve()
    const batch = [...due]
    if (batch.length === 0) return
    due.clear()
    const rows = batch.map(own => own.row)
    for (const own of batch) own.onTheWay = true
    try {
      await storeUploads(database, rows)
      for (const [index, own] of batch.entries()) own.stored = own.row === rows[index] ? 'all' : 'older'
    } catch (error) {
      for (const own of batch) if (known.get(own.row.id) === own) due.add(own)
      throw error
    } finally {
      for (const own of batch) own.onTheWay = false
    }
    if (known.size > kept) forgetOld()
  }

  function storeLater(): void {
    timer ??= setTimeout(() => {
      timer = undefined
      store().catch((error: unknown) => {
        log.warn({ err: error }, 'uploads not written down')
        storeLater()
      })
    }, laterMs).unref()
  }

  function forgetOld(): void {
    for (const [id, { holder, stored }] of known) {
      if (known.size <= kept) return
      if (holder === undefined && stored === 'all') known.delete(id)
    }
  }

  /** A row that was on its way when its upload ended is taken back. */
  async function removeBehind(key: UploadKey): Promise<void> {
    await storing?.catch(() => {})
    await removeUpload(database, key)
  }

  function update(own: Own, { offset, driver }: UploadState): void {
    if (own.row.byte_offset === offset && own.row.driver_state !== null) return
    own.row = { ...own.row, byte_offset: offset, driver_state: driver }
    if (own.stored === 'all') own.stored = 'older'
  }

  function holdOf(id: string, own: Own, holder: AbortController): UploadHold {
    let progress: (() => Promise<UploadState>) | undefined
    let tracking: Promise<void> = Promise.resolve()
    const track = setInterval(() => {
      tracking = tracking.then(async () => {
        if (progress === undefined) return
        update(own, await progress())
        if (own.stored === 'all') return
        due.add(own)
        await store()
      })
      tracking = tracking.catch((error: unknown) => log.warn({ err: error, upload: id }, 'upload not written down'))
    }, trackEveryMs)

    function letGo(): void {
      clearInterval(track)
      if (own.holder !== holder) return
      own.holder = undefined
      if (own.stored === 'all' || known.get(id) !== own) return
      due.add(own)
      storeLater()
    }

    return {
      row: own.row,
      signal: holder.signal,
      trackProgress: state => (progress = state),
      async save(state) {
        clearInterval(track)
        await tracking
        const before = own.row
        try {
          if (holder.signal.aborted) throw lostError()
          update(own, state)
          if (own.stored === 'all') return
          due.add(own)
          if (state.offset > small || due.size >= mostDue) await store()
          else storeLater()
        } catch (error) {
          own.row = { ...before, owner: own.row.owner }
          throw error
        } finally {
          letGo()
        }
      },
      async release() {
        letGo()
        await tracking
      },
      ended() {
        known.delete(id)
        due.delete(own)
        letGo()
        if (!own.onTheWay) return
        removeBehind(own.row).catch((error: unknown) =>
          log.warn({ err: error, upload: id }, 'row of an upload left behind'),
        )
      },
    }
  }

  /** Makes uploads no one's: their bytes are dropped when they expire. */
  async function abandon(uploads: readonly Own[]): Promise<void> {
    for (const own of uploads) {
      own.holder?.abort(lostError())
      own.row = { ...own.row, owner: nobody }
      if (own.holder === undefined && own.stored === 'nothing') due.add(own)
    }
    storeLater()
    // A row that is on its way still has its old owner.
    await storing?.catch(() => {})
    await abandonUploads(
      database,
      uploads.map(own => own.row.id),
    )
  }

  return {
    async begin(upload) {
      // While the database is away nobody may fill the memory.
      if (due.size >= mostDue) await store()
      const row = { ...upload, byte_offset: 0, driver_state: null }
      const own: Own = { row, holder: undefined, stored: 'nothing', onTheWay: false }
      known.set(upload.id, own)
      due.add(own)
      storeLater()
    },

    find: async key => (await get(key))?.row,

    async hold(key) {
      const own = await get(key)
      if (own === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
      if (own.holder !== undefined) throw heldError()
      const holder = new AbortController()
      own.holder = holder
      due.delete(own)
      return holdOf(key.id, own, holder)
    },

    async cancel(key) {
      const own = await get(key)
      if (own === undefined) return undefined
      if (!known.delete(key.id)) return undefined
      due.delete(own)
      own.holder?.abort(lostError())
      if (own.onTheWay || own.stored !== 'nothing') await removeBehind(key)
      return own.row
    },

    async removing(gone, work) {
      // Those that are begun meanwhile may be another repository's.
      const uploads = [...known.values()].filter(own => gone(own.row.repository))
      const end = () => (uploads.length === 0 ? Promise.resolve() : abandon(uploads))
      try {
        const result = await work()
        await end()
        return result
      } catch (error) {
        const done = !(error instanceof RegistryError && error.status < 500)
        if (done)
          await end().catch((cause: unknown) => log.warn({ err: cause }, 'uploads of a deleted repository left'))
        throw error
      }
    },

    async settle() {
      try {
        while (due.size > 0 || storing !== undefined) await store()
      } catch (error) {
        log.warn({ err: error, uploads: due.size }, 'uploads not written down')
      }
    },

    mayExpire(id) {
      const own = known.get(id)
      if (own?.holder !== undefined) return false
      if (own !== undefined) due.delete(own)
      known.delete(id)
      return true
    },
  }
}

function isOf(row: UploadRow, { repository, owner }: UploadKey): boolean {
  return row.repository === repository && row.owner === owner
}
