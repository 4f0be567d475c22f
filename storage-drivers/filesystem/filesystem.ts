import { randomUUID } from 'node:crypto'
import { constants, type FileHandle, mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises'
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

export async function createFilesystemDriver({ rootdirectory }: FilesystemOptions): Promise<StorageDriver> {
  const uploadPath = (state: UploadState) => join(rootdirectory, uploadsFolder, fileOf(state))
  const objectPath = (key: string) => join(rootdirectory, checkedKey(key))
  const space = createSpace(rootdirectory)
  await makeFolder(join(rootdirectory, uploadsFolder))

  return {
    name: 'filesystem',

    async createUpload() {
      const file = randomUUID()
      const path = join(rootdirectory, uploadsFolder, file)
      // Explicit positions, never append mode: Linux ignores the position of a write to a file opened for append.
      const handle = await open(path, 'wx', 0o640).catch(rethrowFull)
      return writeSession({ root: rootdirectory, space, file, path, handle, offset: 0 })
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
      return writeSession({ root: rootdirectory, space, file: fileOf(state), path, handle, offset: state.offset })
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

    async size(key) {
      try {
        return (await stat(objectPath(key))).size
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return undefined
        throw error
      }
    },

    async delete(keys) {
      await Promise.all(keys.map(objectPath).map(path => rm(path, { force: true })))
    },

    async check() {
      const path = join(rootdirectory, uploadsFolder, randomUUID())
      const handle = await open(path, 'wx').catch(error => {
        throw new Error(`the folder ${rootdirectory} can not be written to`, { cause: error })
      })
      await handle.close()
      await rm(path, { force: true })
    },

    [Symbol.asyncDispose]: async () => {},
  }
}

interface OpenUpload {
  root: string
  space: Space
  file: string
  path: string
  handle: FileHandle
  offset: number
}

function writeSession({ root, space, file, path, handle, offset }: OpenUpload): WriteSession {
  let position = offset
  return {
    async write(chunks) {
      const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
      const written = await space.take(length)
      try {
        await writeAll(handle, chunks, position)
      } catch (error) {
        if (!hasCode(error, 'ENOSPC') && !hasCode(error, 'EDQUOT') && !hasCode(error, 'EFBIG')) throw error
        // What of these chunks did get written is no use to anyone, and the room is wanted.
        await handle.truncate(position)
        throw new OutOfSpace({ cause: error })
      } finally {
        written()
      }
      position += length
    },

    save: async () => ({ offset: position, driver: { file } }),

    async commit(key) {
      const target = join(root, checkedKey(key))
      await handle.datasync().catch(rethrowFull)
      await rename(path, target).catch(async error => {
        if (!hasCode(error, 'ENOENT')) rethrowFull(error)
        await makeFolder(dirname(target))
        await rename(path, target)
          .catch(rethrowMissing(() => new UploadLost()))
          .catch(rethrowFull)
      })
      await syncFolder(dirname(target))
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

/** Makes a folder with its parents, so that a power cut does not take it away: each new entry is synced in its parent. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true }).catch(rethrowFull)
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
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

function rethrowFull(error: unknown): never {
  throw hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT') ? new OutOfSpace({ cause: error }) : error
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
