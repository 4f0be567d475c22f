import { LRUCache } from 'lru-cache'
import type { StorageDriver, UploadState } from '../../storage-drivers/driver.ts'
import type { UploadRow } from '../metadata/uploads.ts'
import { createDigester, type Digest, type DigestAlgorithm, type Digester } from '../oci/digest.ts'

/**
 * Hashes of uploads between their requests. A hash can't leave the process, so this is a short cut only: when it has
 * nothing (another process received the bytes, or the client closes with another algorithm), the stored bytes are
 * read and hashed again.
 */
export interface DigestMemory {
  /** The hash of what the upload has so far, to go on with: a new one for an upload without bytes. */
  resume(row: UploadRow, algorithm?: DigestAlgorithm): { digester: Digester } | undefined
  remember(id: string, digester: Digester | undefined, offset: number): void
  forget(id: string): void
  /** The digest of a whole upload: from the hash that followed it, or by reading it. */
  digestOf(state: UploadState, algorithm: DigestAlgorithm, digester: Digester | undefined): Promise<Digest>
}

const hashesKept = 4096
const defaultAlgorithm: DigestAlgorithm = 'sha256'

export function createDigestMemory({ driver }: { driver: StorageDriver }): DigestMemory {
  const memory = new LRUCache<string, { digester: Digester; offset: number }>({ max: hashesKept })

  return {
    resume(row, algorithm) {
      const known = memory.get(row.id)
      if (known !== undefined && known.offset === row.byte_offset) {
        return algorithm === undefined || algorithm === known.digester.algorithm ? known : undefined
      }
      if (row.byte_offset > 0) return undefined
      return { digester: createDigester(algorithm ?? row.algorithm ?? defaultAlgorithm) }
    },

    remember(id, digester, offset) {
      if (digester === undefined) memory.delete(id)
      else memory.set(id, { digester, offset })
    },

    forget: id => void memory.delete(id),

    async digestOf(state, algorithm, digester) {
      if (digester !== undefined) return digester.digest()
      const fresh = createDigester(algorithm)
      for await (const chunk of await driver.readUpload(state)) fresh.update(chunk)
      return fresh.digest()
    },
  }
}
