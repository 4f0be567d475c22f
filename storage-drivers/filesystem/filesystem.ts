import { randomUUID } from 'node:crypto'
import { type FileHandle, open, opendir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import {
  type ByteRange,
  ObjectNotFound,
  OutOfSpace,
  type StorageDriver,
  UploadLost,
  type UploadState,
  type WriteSession,
} from '../driver.ts'
import { createFileCache, type FileCache } from './file-cache.ts'
import { createFolders, type Folders } from './folders.ts'
import type { FilesystemOptions } from './options.ts'
import { createSpace, type Space } from './space.ts'

/**
 * Blobs as files. Below the root:
 *
 *   uploads/<id>          bytes of an upload under way
 *   <key>                 an object, as its key says (`blobs/sha256/ab/<hex>`)
 *
 * A commit is: fsync of the upload's file, rename to its key, fsync of the folder. So a file under a key is whole and
 * on the disk, whenever the power goes.
 */

const uploadsFolder = 'uploads'
const readChunk = 256 * 1024
/** Uploads of up to so many bytes are synced as soon as they are saved. */
const syncedEarly = 1024 * 1024

export async function createFilesystemDriver({ rootdirectory }: FilesystemOptions): Promise<StorageDriver> {
  const uploadPath = (state: UploadState) => join(rootdirectory, uploadsFolder, fileOf(state))
  const objectPath = (key: string) => join(rootdirectory, checkedKey(key))
  const space = createSpace(rootdirectory)
  const files = createFileCache()
  const folders = createFolders()
  await folders.make(join(rootdirectory, uploadsFolder)).catch(rethrowFull)

  return {
    name: 'filesystem',

    async createUpload() {
      const file = randomUUID()
      const path = join(rootdirectory, uploadsFolder, file)
      // Explicit positions, never append mode: Linux ignores the position of a write to a file opened for append. To be
      // read too: a thread may have to make the hash of what is there.
      const handle = await open(path, 'wx+', 0o640).catch(rethrowFull)
      return writeSession({ root: rootdirectory, space, files, folders, file, path, handle, offset: 0 })
    },

    async resumeUpload(state) {
      const path = uploadPath(state)
      const handle = await open(path, 'r+').catch(rethrowMissing(() => new UploadLost()))
      try {
        const { size } = await handle.stat()
        if (size < state.offset) throw new UploadLost()
        if (size > state.offset) await handle.truncate(state.offset)
      } catch (error) {
        await handle.close()
        throw error
      }
      const { offset } = state
      return writeSession({ root: rootdirectory, space, files, folders, file: fileOf(state), path, handle, offset })
    },

    async readUpload(state) {
      const handle = await open(uploadPath(state), 'r').catch(rethrowMissing(() => new UploadLost()))
      return streamOf(handle, { first: 0, last: state.offset - 1 })
    },

    async dropUpload(state) {
      if (findFile(state) !== undefined) await rm(uploadPath(state), { force: true })
    },

    async *abandonedUploads(before) {
      for await (const { name } of await opendir(join(rootdirectory, uploadsFolder))) {
        const found = await stat(join(rootdirectory, uploadsFolder, name)).catch(() => undefined)
        if (found !== undefined && found.mtime < before) yield { offset: found.size, driver: { file: name } }
      }
    },

    async read(key, range) {
      const handle = await open(objectPath(key), 'r').catch(
        rethrowMissing(error => new ObjectNotFound(key, { cause: error })),
      )
      return streamOf(handle, range)
    },

    async openObject(key) {
      return files.open(objectPath(key)).catch(rethrowMissing(error => new ObjectNotFound(key, { cause: error })))
    },

    filePath: checkedKey,

    async size(key) {
      try {
        return (await stat(objectPath(key))).size
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return undefined
        throw error
      }
    },

    async delete(keys) {
      await Promise.all(
        keys.map(objectPath).map(async path => {
          await rm(path, { force: true })
          files.forget(path)
        }),
      )
    },

    async check() {
      const path = join(rootdirectory, uploadsFolder, randomUUID())
      const handle = await open(path, 'wx').catch(error => {
        throw new Error(`the folder ${rootdirectory} can not be written to`, { cause: error })
      })
      await handle.close()
      await rm(path, { force: true })
    },

    async [Symbol.asyncDispose]() {
      files.close()
      await folders[Symbol.asyncDispose]()
    },
  }
}

interface OpenUpload {
  root: string
  space: Space
  folders: Folders
  files: FileCache
  file: string
  path: string
  handle: FileHandle
  offset: number
}

function writeSession({ root, space, files, folders, file, path, handle, offset }: OpenUpload): WriteSession {
  /** Written from the first byte without a gap. */
  let position = offset
  /** Where the next bytes go: behind those that are on their way. */
  let end = offset
  let onTheWay = 0
  let failed = false
  /** Of a small upload that was saved: a commit is often next, and finds it done. */
  let synced: { position: number; done: Promise<void> } | undefined

  /** The system tells of lost bytes once: whoever syncs the file again would hear that all is well. */
  async function dropUnsynced(error: unknown): Promise<never> {
    await rm(path, { force: true })
    throw error
  }

  function syncEarly(): void {
    if (position === 0 || position > syncedEarly || synced?.position === position) return
    synced = { position, done: handle.datasync().catch(dropUnsynced) }
    // Only a commit wants to know; without the file no later one succeeds.
    synced.done.catch(() => {})
  }

  /** What of the chunks behind did get written is no use to anyone, and the room is wanted. */
  async function cut(): Promise<void> {
    end = position
    failed = false
    await handle.truncate(position)
  }

  return {
    async write(chunks) {
      const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
      const written = await space.take(length)
      try {
        await writeAll(handle, chunks, position)
      } catch (error) {
        if (isFull(error)) await cut()
        rethrowFull(error)
      } finally {
        written()
      }
      position += length
      end = position
    },

    file: {
      fd: handle.fd,
      async extend(length) {
        const written = await space.take(length)
        const at = end
        end += length
        onTheWay++
        return {
          position: at,
          async settle(error) {
            written()
            onTheWay--
            if (error === undefined && at === position) position += length
            else failed = true
            if (failed && onTheWay === 0) await cut()
            if (error !== undefined) rethrowFull(error)
          },
        }
      },
    },

    get length() {
      return position
    },

    async save() {
      syncEarly()
      return { offset: position, driver: { file } }
    },

    stored: () => ({ offset: position, driver: { file } }),

    async commit(key) {
      const target = join(root, checkedKey(key))
      await synced?.done.catch(rethrowFull)
      if (synced?.position !== position) await handle.datasync().catch(rethrowFull)
      await rename(path, target).catch(async error => {
        if (!hasCode(error, 'ENOENT')) rethrowFull(error)
        await folders.make(dirname(target)).catch(rethrowFull)
        await rename(path, target)
          .catch(rethrowMissing(() => new UploadLost()))
          .catch(rethrowFull)
      })
      files.forget(target)
      await folders.sync(dirname(target))
      return key
    },

    close: () => handle.close(),
  }
}

/** Writes every byte: one call may write less than it was given. */
async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let left = chunks.filter(chunk => chunk.byteLength > 0)
  while (left.length > 0) {
    // writev takes at most 1024 pieces (IOV_MAX).
    const { bytesWritten } = await handle.writev(left.slice(0, 1024), position)
    position += bytesWritten
    left = withoutFirst(left, bytesWritten)
  }
}

function withoutFirst(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  for (const chunk of chunks) {
    if (bytes >= chunk.byteLength) {
      bytes -= chunk.byteLength
    } else {
      rest.push(chunk.subarray(bytes))
      bytes = 0
    }
  }
  return rest
}

/** A stream of exactly this range: a file that ends before it makes it fail, never end as if that were all. */
function streamOf(handle: FileHandle, { first, last }: ByteRange): Readable {
  let position = first
  return new Readable({
    highWaterMark: readChunk,
    async read() {
      try {
        const wanted = Math.min(readChunk, last - position + 1)
        if (wanted <= 0) {
          this.push(null)
          return
        }
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(wanted), 0, wanted, position)
        if (bytesRead === 0) throw new Error(`the file of a blob ends at byte ${position}, and not behind byte ${last}`)
        position += bytesRead
        this.push(buffer.subarray(0, bytesRead))
      } catch (error) {
        this.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    },
    destroy(error, done) {
      const closed = () => done(error)
      handle.close().then(closed, closed)
    },
  })
}

/** The file of an upload. Undefined for the state of another driver: one may have been configured before. */
function findFile({ driver: { file } }: UploadState): string | undefined {
  return typeof file === 'string' && /^[0-9a-f-]{36}$/.test(file) ? file : undefined
}

function fileOf(state: UploadState): string {
  const file = findFile(state)
  if (file === undefined) throw new UploadLost()
  return file
}

/** Keys come out of rows, which someone may have written by hand: none leads out of the root or to an upload. */
function checkedKey(key: string): string {
  const parts = key.split('/')
  const strange = parts.some(part => part === '' || part === '.' || part === '..' || part.includes('\0'))
  if (strange || parts[0] === uploadsFolder) throw new Error(`${JSON.stringify(key)} can not be the key of an object`)
  return key
}

function rethrowMissing(missing: (error: unknown) => Error): (error: unknown) => never {
  return error => {
    throw hasCode(error, 'ENOENT') ? missing(error) : error
  }
}

function isFull(error: unknown): boolean {
  return hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT') || hasCode(error, 'EFBIG')
}

function rethrowFull(error: unknown): never {
  throw isFull(error) ? new OutOfSpace({ cause: error }) : error
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
