import type { DigestAlgorithm } from '../oci/digest.ts'

/** What a hash thread is told. Orders are obeyed one after the other; those with a job are answered. */
export type Order =
  | {
      kind: 'begin'
      job: number
      id: number
      algorithm: DigestAlgorithm
      /** Bytes that stand in a file already and are hashed first. */
      file: { fd: number; length: number } | undefined
    }
  | {
      kind: 'update'
      job: number
      id: number
      buffer: Uint8Array<SharedArrayBuffer>
      pieces: readonly number[]
      /** Where to write them. */
      file: { fd: number; position: number } | undefined
    }
  | { kind: 'copy'; id: number; to: number }
  | { kind: 'digest'; job: number; id: number }
  | { kind: 'drop'; id: number }

export interface Reply {
  job: number
  /** Of a digest. */
  hex?: string | undefined
  error?: { message: string; code: string | undefined }
}
