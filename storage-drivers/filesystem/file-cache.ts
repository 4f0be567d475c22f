import { close, open, read, readv } from 'node:fs'
import { LRUCache } from 'lru-cache'
import type { OpenObject } from '../driver.ts'

/**
 * Files that stay open for a moment after they were read: of one blob many ranges are asked for in a row, and opening
 * costs as much as reading a small one. It is a moment only, because another process may have replaced the file, and
 * because a deleted file takes its room until it is closed.
 */
export interface FileCache {
  /** @throws the error of opening the file */
  open(path: string): Promise<OpenObject>
  /** To be called when the path means another file from now on, or none. Who has it open reads on. */
  forget(path: string): void
  /** Closes what no one reads; the rest is closed by its last reader. */
  close(): void
}

const mostIdle = 256
const idleMs = 1_500

/** A file that is opened once for all who read it. */
interface SharedFile {
  opened: Promise<number>
  /** The cache, those who have it open, and reads under way. */
  users: number
}

export function createFileCache(): FileCache {
  let closed = false
  const files = new LRUCache<string, SharedFile>({
    max: mostIdle,
    ttl: idleMs,
    ttlAutopurge: true,
    dispose: leave,
  })

  function find(path: string): SharedFile {
    const known = files.get(path)
    if (known !== undefined) return known
    const file: SharedFile = { opened: openFile(path), users: 0 }
    if (!closed) {
      file.users++
      files.set(path, file)
    }
    return file
  }

  return {
    async open(path) {
      const file = find(path)
      file.users++
      try {
        return openObject(file, await file.opened)
      } catch (error) {
        if (files.peek(path) === file) files.delete(path)
        leave(file)
        throw error
      }
    },
    forget: path => void files.delete(path),
    close() {
      closed = true
      files.clear()
    },
  }
}

function openObject(file: SharedFile, descriptor: number): OpenObject {
  let released = false
  return {
    read(buffers, position) {
      return new Promise((resolve, reject) => {
        // By now the descriptor may be another file's.
        if (released) throw new Error('an object was read after its release')
        file.users++
        const done = (error: Error | null, bytesRead: number) => {
          leave(file)
          if (error === null) resolve(bytesRead)
          else reject(error)
        }
        const [first] = buffers
        if (first !== undefined && buffers.length === 1) read(descriptor, first, 0, first.length, position, done)
        else readv(descriptor, buffers, position, done)
      })
    },
    release() {
      if (released) return
      released = true
      leave(file)
    },
  }
}

/** One user less; with the last one it is closed. */
function leave(file: SharedFile): void {
  if (--file.users > 0) return
  file.opened.then(
    descriptor => close(descriptor, () => {}),
    () => {},
  )
}

function openFile(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, 'r', (error, descriptor) => (error === null ? resolve(descriptor) : reject(error)))
  })
}
