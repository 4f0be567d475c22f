import type { Extent, Work } from '../loads/load.ts'
import type { Target } from './connection.ts'

/** What the benchmark asks of its generator, one thing at a time. */
export type Order =
  /** Gets a load ready; `server` tells one running server from another. Answered by `ready` or `unsupported`. */
  | { kind: 'prepare'; load: string; target: Target; server: string; number: number; extent: Extent; scratch: string }
  /** Opens what a load keeps open. Answered by `ready`. */
  | { kind: 'open' }
  /** Does what was prepared. Answered by `done`. */
  | { kind: 'go' }
  /** Pushes and pulls blobs in every way and compares their hashes. Answered by `ready`. */
  | { kind: 'verify'; target: Target }
  /** Pushes what lists are filled from. Answered by `ready`. */
  | { kind: 'first entry'; target: Target }
  /** Asks for `GET /v2/` every few milliseconds from now on. Answered by `ready`. */
  | { kind: 'probe'; target: Target }
  /** Ends that. Answered by `probed`. */
  | { kind: 'end' }

export type Report =
  | { kind: 'ready' }
  | { kind: 'unsupported' }
  | { kind: 'done'; work: Work }
  /** Milliseconds. */
  | { kind: 'probed'; p50: number; p99: number; count: number }
  | { kind: 'failed'; reason: string }
