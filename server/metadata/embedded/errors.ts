/** The folder belongs to a Berth that is alive. Nothing of it was touched. */
export class DataFolderInUse extends Error {
  readonly folder: string
  /** The process that holds the folder; undefined when it could not be told. */
  readonly pid: number | undefined

  constructor(folder: string, pid: number | undefined) {
    super(
      `the folder ${folder} is in use by another Berth${pid === undefined ? '' : ` (process ${pid})`}: stop that one first, or give this one a data folder of its own`,
    )
    this.name = 'DataFolderInUse'
    this.folder = folder
    this.pid = pid
  }
}

/** The embedded Postgres can't be started or kept running. The message tells the operator why and what to do. */
export class PostgresFailed extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'PostgresFailed'
  }
}

/** The `code` of an error of the system or of Postgres; an empty string for any other. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
