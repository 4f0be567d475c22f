/** What the filesystem driver is made from. */
export interface FilesystemOptions {
  /** The folder below which everything is kept; made when missing. */
  rootdirectory: string
}
