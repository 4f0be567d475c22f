import { constants, type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LRUCache } from 'lru-cache'

/** Folders that are made and changed so that a power cut does not undo it. */
export interface Folders extends AsyncDisposable {
  /** Makes a folder with its parents; each new entry is synced in its parent. */
  make(folder: string): Promise<void>
  /** Has the entries of a folder written to the disk: those that were made before the call. */
  sync(folder: string): Promise<void>
}

/** Folders that stay open, since blobs go into the same 256 again and again: to open and close one costs as much as to sync it. */
const keptOpen = { max: 300, ttl: 60_000, ttlAutopurge: true }

export function createFolders(): Folders {
  // Closing waits for what is under way on a handle.
  const handles = new LRUCache<string, FileHandle>({
    ...keptOpen,
    dispose: handle => void handle.close().catch(() => {}),
  })

  async function sync(folder: string): Promise<void> {
    const kept = handles.get(folder)
    if (kept !== undefined) return kept.sync()
    const opened = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await opened.sync()
    } catch (error) {
      await opened.close()
      throw error
    }
    handles.set(folder, opened)
  }

  return {
    sync,
    async make(folder) {
      const first = await mkdir(folder, { recursive: true })
      if (first === undefined) return
      for (let made = folder; made.length >= first.length; made = dirname(made)) await sync(dirname(made))
    },
    [Symbol.asyncDispose]: async () => handles.clear(),
  }
}
