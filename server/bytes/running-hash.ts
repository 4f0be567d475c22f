import { createDigester, type Digest, type DigestAlgorithm, type Digester } from '../oci/digest.ts'
import { type Filled, piecesOf } from './body.ts'
import type { HashThreads, ThreadHash } from './hash-threads.ts'

/**
 * The hash of an upload under way. It begins on the thread that serves requests, where a small body is hashed sooner
 * than another thread is told of it, and moves to a thread of its own with the first body that is not small.
 */
export interface RunningHash {
  readonly algorithm: DigestAlgorithm
  /** Whether it is on a thread of its own, which can write too. */
  readonly threaded: boolean
  /** As ThreadHash.update; a file only when `threaded`. */
  update(filled: Filled, file?: { fd: number; position: number }): Promise<void>
  copy(): RunningHash
  digest(): Promise<Digest>
  /** Must be called when it is of no more use; it can't be used then. */
  drop(): void
}

/** A hash of nothing yet. */
export function beginHash(algorithm: DigestAlgorithm): RunningHash {
  return here(createDigester(algorithm))
}

/**
 * Moves a hash to a thread; the one given is dropped. One that has hashed something can't be moved: it is made again
 * from the file that the bytes stand in. @param file undefined where the upload is no file: then it stays
 */
export async function toThread(
  hash: RunningHash,
  threads: HashThreads,
  { length, fd }: { length: number; fd: number | undefined },
): Promise<RunningHash> {
  if (hash.threaded || (length > 0 && fd === undefined)) return hash
  const file = fd === undefined || length === 0 ? undefined : { fd, length }
  const moved = onThread(await threads.begin(hash.algorithm, file))
  hash.drop()
  return moved
}

function here(digester: Digester): RunningHash {
  return {
    algorithm: digester.algorithm,
    threaded: false,
    async update(filled) {
      for (const piece of piecesOf(filled)) digester.update(piece)
    },
    copy: () => here(digester.copy()),
    digest: async () => digester.digest(),
    drop() {},
  }
}

function onThread(hash: ThreadHash): RunningHash {
  return { ...hash, threaded: true, copy: () => onThread(hash.copy()) }
}
