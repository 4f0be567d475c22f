import type { Readable } from 'node:stream'
import type { ByteRange, OpenObject, SignOptions, StorageDriver } from '../../storage-drivers/driver.ts'
import { type BlobRow, findBlob, findRepositoriesWithBlob, linkBlob, unlinkBlob } from '../metadata/blobs.ts'
import type { Actor } from '../access/actor.ts'
import type { Database } from '../metadata/database.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { createMemory } from './memory.ts'
import type { Repositories, RepositoryMemory } from './repositories.ts'
import { rethrow } from './storage-errors.ts'

export interface Blob {
  digest: Digest
  /** Bytes. */
  size: number
  /** Streams a range of the blob, inclusive at both ends, which lies within it. */
  read(range: ByteRange): Promise<Readable>
  /** Opens it to be read into own buffers; undefined where the driver has streams alone. */
  open(): Promise<OpenBlob | undefined>
  /** Where blobs are files: the path of this one below the folder of the store. */
  file(): string | undefined
  /** A URL of the store at which anyone may GET it until that expires; undefined where the driver has none. */
  signUrl(options: SignOptions): Promise<string> | undefined
}

/** A blob that is open, to be released in the end. */
export type OpenBlob = OpenObject

export interface Blobs extends RepositoryMemory {
  /** Whether blobs are files below one folder. */
  readonly inFiles: boolean
  /** Whether the store serves blobs to clients itself, by signed URLs. */
  readonly signsUrls: boolean
  /** @throws RegistryError BLOB_UNKNOWN when this repository has no such blob, whoever else has it */
  get(repository: RepositoryName, digest: Digest): Promise<Blob>
  /**
   * Lets a repository have a blob that another one has, without its bytes being sent (distribution spec, "Mounting a
   * blob from another repository").
   * @returns false when it can't be mounted; the client then uploads it
   */
  mount(repository: RepositoryName, digest: Digest, options: MountOptions): Promise<boolean>
  /** @throws RegistryError BLOB_UNKNOWN; UNSUPPORTED while a manifest of the repository needs it */
  delete(repository: RepositoryName, digest: Digest): Promise<void>
}

export interface MountOptions {
  by: Actor
  /** Where the client knows it to be; any repository when undefined. */
  from: RepositoryName | undefined
  /** Whether the client may pull from there: else the blob is not there for it. */
  mayPull(this: void, from: RepositoryName): boolean | Promise<boolean>
}

export interface BlobsOptions {
  database: Database
  repositories: Repositories
  /** Whether no other process changes the database: then what it said is remembered. */
  sole: boolean
  driver: StorageDriver
  location: string
}

/** Blobs of which it is remembered that a repository may show them. */
const remembered = 20_000

const keyOf = (repository: RepositoryName, digest: Digest) => `${repository}@${digest}`
const repositoryOf = (key: string) => key.slice(0, key.indexOf('@'))

/** Where no source is named, so many repositories that have the blob are looked at. */
const mostSources = 20

export function createBlobs({ database, repositories, sole, driver, location }: BlobsOptions): Blobs {
  const memory = createMemory<BlobRow>({ max: remembered })

  async function find(repository: RepositoryName, digest: Digest): Promise<BlobRow | undefined> {
    const key = keyOf(repository, digest)
    const known = sole ? memory.get(key) : undefined
    if (known !== undefined) return known
    const since = memory.now()
    const row = await findBlob(database, repository, digest, location)
    if (row !== undefined && sole) memory.remember(key, row, since)
    return row
  }

  return {
    inFiles: driver.filePath !== undefined,
    signsUrls: driver.signUrl !== undefined,

    async get(repository, digest) {
      const row = await find(repository, digest)
      if (row === undefined) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
      return {
        digest,
        size: row.size,
        read: range => driver.read(row.key, range).catch(rethrow),
        open: async () => driver.openObject?.(row.key),
        file: () => driver.filePath?.(row.key),
        signUrl: options => driver.signUrl?.(row.key, options).catch(rethrow),
      }
    },

    async mount(repository, digest, { by, from, mayPull }) {
      const sources = from === undefined ? await findRepositoriesWithBlob(database, digest, mostSources) : [from]
      for (const source of sources) {
        if (!(await mayPull(source))) continue
        if ((await findBlob(database, source, digest, location)) === undefined) continue
        const id = await repositories.ensure(repository, by)
        await linkBlob(database, id, { from: source, digest })
        // The source may have lost it in the meantime.
        if ((await findBlob(database, repository, digest, location)) !== undefined) return true
      }
      return false
    },

    async delete(repository, digest) {
      const result = await memory.changing([keyOf(repository, digest)], () =>
        database.transaction(tx => unlinkBlob(tx, repository, digest)),
      )
      switch (result.outcome) {
        case 'unlinked':
          return
        case 'unknown':
          throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
        case 'in use':
          throw new RegistryError('UNSUPPORTED', {
            message: `a manifest of this repository needs the blob: delete ${result.by} first`,
            headers: { allow: 'GET, HEAD' },
            detail: { digest, manifest: result.by },
          })
        default:
          result satisfies never
      }
    },

    removing: (gone, work) => memory.changingAll(key => gone(repositoryOf(key)), work),
  }
}
