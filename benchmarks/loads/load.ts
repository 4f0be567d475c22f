import type { Target } from '../generator/connection.ts'

/** What a load did while it was measured. */
export interface Work {
  seconds: number
  operations: number
  /** Bytes of blobs that went over the wire. */
  bytes: number
  /** Of one operation, in milliseconds. */
  p50: number
  p99: number
}

/** How much is done: the full benchmark, or the short form for continuous integration. */
export interface Extent {
  /** Bytes of a large blob. */
  large: number
  /** Bytes of a blob that is downloaded. */
  download: number
  /** How often each of the clients at once downloads it. */
  downloads: number
  /** How long operations are repeated, and before that without being measured. */
  seconds: number
  warmSeconds: number
  /** Clients that are slow. */
  slowClients: number
  slowSeconds: number
  /** How long the mixed load goes on. */
  mixedSeconds: number
}

export interface Turn {
  target: Target
  extent: Extent
  /** A folder for what it needs on the disk; it goes with the run. */
  scratch: string
  /** No other turn of the run has this number: for names that are new each time. */
  number: number
  /** Makes what is needed once on a server that lives through several turns, and remembers it. */
  once: <Made>(make: () => Promise<Made>) => Promise<Made>
}

/** A turn that is ready to be measured. */
export interface Prepared {
  /** What comes after a look at the idle server, and before anything is measured but memory. */
  open?: () => Promise<void>
  run: () => Promise<Work>
  close: () => Promise<void> | void
}

export interface Load {
  /** By which `--loads` and the goals know it. */
  name: string
  title: string
  /** By what its speed is told: MiB/s, or operations a second. */
  unit: 'bytes' | 'operations'
  /** Whether the data lies in a memory file system, where there is room. */
  place: 'memory' | 'disk'
  /** What is written needs a server on an empty folder for each turn, not just for each load. */
  fresh?: true
  /** Peers are left out, and there is one round: it compares Berth with itself. */
  alone?: true
  /** Compares with the server before the load: what a small GET takes, and how much memory. */
  besideIdle?: true
  /** Tells how the server's memory grew from the first fifth to the last. */
  growth?: true
  /** What has to be in the server's storage before; it is put there past the API. */
  fill?: { kind: 'tags' | 'repositories'; entries: number }
  /** Programs it needs. */
  programs?: readonly string[]
  /** @returns undefined where the server can't do it */
  prepare: (turn: Turn) => Promise<Prepared | undefined>
}
