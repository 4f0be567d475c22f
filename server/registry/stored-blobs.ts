import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { createGroups } from '../lib/groups.ts'
import { addBlobs, type BlobPush } from '../metadata/blobs.ts'
import type { Actor } from '../access/actor.ts'
import type { Database } from '../metadata/database.ts'
import type { Repositories } from './repositories.ts'

export interface StoredBlobs {
  /**
   * Writes down that a repository has a blob whose bytes are stored, and ends its upload. When it resolves, both are
   * durable: only then may a client hear of success.
   */
  record(push: BlobPush & { by: Actor }): Promise<void>
}

/** Pushes that are written down by one statement, at most. */
const largestGroup = 64

export interface StoredBlobsOptions {
  database: Database
  repositories: Repositories
  driver: StorageDriver
}

export function createStoredBlobs({ database, repositories, driver }: StoredBlobsOptions): StoredBlobs {
  // To write down many costs little more than one. Two statements: while one waits for the disk, the other is made.
  const rows = createGroups<BlobPush, string | undefined>({
    atOnce: 2,
    most: largestGroup,
    key: ({ blob }) => blob.digest,
    work: pushes => addBlobs(database, pushes),
  })

  return {
    async record(push) {
      let key = await rows.add(push)
      while (key === undefined) {
        await repositories.ensure(push.repository, push.by)
        key = await rows.add(push)
      }
      // The same blob came by another upload before: its bytes stay, these go.
      if (key !== push.blob.key) await driver.delete([push.blob.key])
    },
  }
}
