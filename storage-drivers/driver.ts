import type { Readable } from 'node:stream'

/**
 * Where the bytes of blobs live. A driver stores objects under keys and knows nothing of repositories, digests or
 * tags: what a key means is written in `server/registry/blob-keys.ts`, and which keys exist is written in Postgres.
 * So a driver is never asked to list, and to ask it for an object that was never committed is not a normal thing.
 *
 * Every promise below is checked by `test/storage-drivers/contract.ts`, which each driver passes against its real
 * back end.
 */
export interface StorageDriver extends AsyncDisposable {
  /** The name by which the configuration calls it: `filesystem`, `s3`, ... */
  readonly name: string

  /**
   * Begins an object. Nothing of it can be read until `commit`.
   * @param options.key the key that the commit will propose, where it is known already: a driver that has to choose its
   *   key now may take it
   * @throws OutOfSpace
   */
  createUpload(options?: { key?: string }): Promise<WriteSession>

  /**
   * Goes on with an upload that this or another process began and saved, at the offset of its state: bytes beyond it,
   * which were written but never saved, are dropped.
   * @throws UploadLost when the back end has it no more
   */
  resumeUpload(state: UploadState): Promise<WriteSession>

  /**
   * What was written of an upload that is not committed yet, from its first byte to the offset of its state, to hash
   * it again. It is the last thing before a commit: some back ends show the bytes only when the object is complete, and
   * then nothing can be written to it any more. @throws UploadLost
   */
  readUpload(state: UploadState): Promise<Readable>

  /**
   * Drops an upload that will not be committed, also an older state of one. Dropping one that is gone already, or
   * committed, is a success, and takes nothing of the object away.
   */
  dropUpload(state: UploadState): Promise<void>

  /**
   * The uploads that the back end still has and that nothing was written to since then (or, where it does not tell,
   * that were begun before then), whether anyone remembers them or not: a process that was killed may not have saved a
   * state. What their states say of the driver's affairs is enough to drop them, and is part of every state that was
   * saved of them. Asked for now and then, never on a request's way.
   */
  abandonedUploads(before: Date): AsyncIterable<UploadState>

  /**
   * Streams a range of an object, which lies within it. The stream gives exactly these bytes or fails; destroying it
   * lets go of everything. @throws ObjectNotFound
   */
  read(key: string, range: ByteRange): Promise<Readable>

  /**
   * Where objects are files of this machine: opens one, to read it into buffers of the caller's, which costs less than a
   * stream. Whoever opened it calls `release` in the end. @throws ObjectNotFound
   */
  openObject?(key: string): Promise<OpenObject>

  /**
   * Where objects are files below one folder: the path of one from there, with slashes between its parts, for programs
   * that read the folder themselves. Whether it is there is not looked at.
   */
  filePath?(key: string): string

  /**
   * Where the back end can serve objects to clients itself: a URL at which anyone may GET this one until it expires.
   * Nothing is asked of the back end, and whether the object is there is not looked at.
   */
  signUrl?(key: string, options: SignOptions): Promise<string>

  /** The object's size in bytes, or undefined when there is no such object. */
  size(key: string): Promise<number | undefined>

  /** Removes objects. Removing what is not there is a success. */
  delete(keys: readonly string[]): Promise<void>

  /** Resolves when the back end takes and gives bytes. @throws what is wrong, as a sentence for the operator */
  check(): Promise<void>
}

/** Inclusive at both ends, as in HTTP. No bytes: `last` is one less than `first`. */
export interface ByteRange {
  first: number
  last: number
}

export interface SignOptions {
  /** Milliseconds for which the URL is good. */
  expiresMs: number
  /** Under which URL this client reaches the back end, where that is not the configured one. */
  endpoint?: string | undefined
}

/** An object that is open. It stays readable until it is released, even when it is deleted or replaced meanwhile. */
export interface OpenObject {
  /**
   * Fills the buffers, in their order, with what stands at a position and behind it.
   * @returns how many bytes were read: fewer than the buffers take is no error, 0 is the object's end
   */
  read(buffers: readonly Uint8Array[], position: number): Promise<number>
  /** Lets go of it; reads that are under way end first. Calling it again does nothing. */
  release(): void
}

/** What Postgres remembers of an upload between two requests: plain JSON that any process can go on from. */
export interface UploadState {
  /** Bytes received and written. */
  offset: number
  /** The driver's own affairs: a file's name, the id and the parts of a multipart upload. */
  driver: Record<string, unknown>
}

/** One upload that this process is writing. One caller at a time; whoever opened it calls `close` in the end. */
export interface WriteSession {
  /**
   * Appends the chunks. Resolves when they are handed to the back end, so that awaiting it is the back-pressure.
   * The caller leaves the chunks alone until then. @throws OutOfSpace, and then none of these chunks counts
   */
  write(chunks: readonly Uint8Array[]): Promise<void>
  /** Where uploads are files of this machine: the file, for those who write from another thread instead of by `write`. */
  readonly file?: UploadFile
  /** Bytes that the upload has: those that were there before, and those that were written. */
  readonly length: number
  /** Has all that was written stored. @returns the state from which another process can go on: its offset is `length` */
  save(): Promise<UploadState>
  /** The same of what is stored already, from the first byte without a gap; nothing is asked of the back end. */
  stored(): UploadState
  /**
   * Makes all that was written readable, durably: after it resolves, a power cut does not take it away. Readers see
   * all of it or nothing. Resolves with the key under which it stands: the proposed one, or, where objects can't be
   * renamed, one that the driver chose when the upload began. An object that stands under the proposed key already is
   * replaced in one step (proposed keys are content addresses: it has the same bytes).
   * @throws OutOfSpace; UploadLost when the upload was dropped in the meantime
   */
  commit(proposedKey: string): Promise<string>
  /** Lets go of files and connections; what was saved stays. Must be called, after `commit` too. */
  close(): Promise<void>
}

export interface UploadFile {
  /** To be read and written. */
  readonly fd: number
  /**
   * Makes room behind the last byte. One call at a time, but many may wait for their bytes to be written, which has to
   * happen in the order of the calls.
   * @throws OutOfSpace
   */
  extend(length: number): Promise<Extension>
}

/** Room in the file of an upload. */
export interface Extension {
  /** Where its first byte belongs. */
  readonly position: number
  /**
   * Must be called: when its bytes are written, or with the error that kept them from it. Then none of them counts, nor
   * of those behind. @throws OutOfSpace, or the error that was given
   */
  settle(this: void, error?: unknown): Promise<void>
}

/** There is no object under this key. */
export class ObjectNotFound extends Error {
  constructor(key: string, options?: ErrorOptions) {
    super(`no object under the key ${key}`, options)
    this.name = 'ObjectNotFound'
  }
}

/** The back end has lost the bytes of an unfinished upload; the client has to begin again. */
export class UploadLost extends Error {
  constructor(options?: ErrorOptions) {
    super('the bytes of this upload are gone', options)
    this.name = 'UploadLost'
  }
}

/** The back end is full. What was written before stays as it was. */
export class OutOfSpace extends Error {
  constructor(options?: ErrorOptions) {
    super('the storage has no room left', options)
    this.name = 'OutOfSpace'
  }
}

/** The back end can not be reached, or can not do its work at the moment; later the same may succeed. */
export class StorageUnavailable extends Error {
  constructor(options?: ErrorOptions) {
    super('the storage does not answer as it should', options)
    this.name = 'StorageUnavailable'
  }
}
