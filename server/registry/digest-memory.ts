import { LRUCache } from 'lru-cache'
import type { StorageDriver, UploadState } from '../../storage-drivers/driver.ts'
import { beginHash, type RunningHash } from '../bytes/running-hash.ts'
import type { UploadRow } from '../metadata/uploads.ts'
import { createDigester, type Digest, type DigestAlgorithm } from '../oci/digest.ts'

/**
 * Hashes of uploads between their requests. A hash can't leave the process, so this is a short cut only: when it has
 * nothing (another process received the bytes, or the client closes with another algorithm), the stored bytes are
 * read and hashed again.
 */
export interface DigestMemory {
  /** The hash of what the upload has so far, to go on with and to drop: a new one for an upload without bytes. */
  resume(row: UploadRow, algorithm?: DigestAlgorithm): RunningHash | undefined
  /** Takes over the hash that fits the offset in the row, whatever was remembered before. */
  remember(id: string, hash: RunningHash | undefined, offset: number): void
  forget(id: string): void
  /** The digest of a whole upload that no hash followed, by reading it. */
  read(state: UploadState, algorithm: DigestAlgorithm): Promise<Digest>
}

const hashesKept = 4096
const defaultAlgorithm: DigestAlgorithm = 'sha256'

export function createDigestMemory({ driver }: { driver: StorageDriver }): DigestMemory {
  const memory = new LRUCache<string, { hash: RunningHash; offset: number }>({
    max: hashesKept,
    dispose: ({ hash }) => hash.drop(),
  })

  return {
    resume(row, algorithm) {
      const known = memory.get(row.id)
      if (known !== undefined && known.offset === row.byte_offset)
        return algorithm === undefined || algorithm === known.hash.algorithm ? known.hash.copy() : undefined
      if (row.byte_offset > 0) return undefined
      return beginHash(algorithm ?? row.algorithm ?? defaultAlgorithm)
    },

    remember(id, hash, offset) {
      if (hash === undefined) memory.delete(id)
      else memory.set(id, { hash, offset })
    },

    forget: id => void memory.delete(id),

    async read(state, algorithm) {
      const fresh = createDigester(algorithm)
      for await (const chunk of await driver.readUpload(state)) fresh.update(chunk)
      return fresh.digest()
    },
  }
}
