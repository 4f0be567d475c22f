import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { addBlob, type StoredBlob } from '../metadata/blobs.ts'
import type { Database } from '../metadata/database.ts'
import { ensureRepository } from '../metadata/repositories.ts'
import type { RepositoryName } from '../oci/repository-name.ts'

/**
 * Writes down that a repository has a blob whose bytes are stored, and ends its upload. When it resolves, both are
 * durable: only then may a client hear of success.
 */
export async function recordBlob(
  { database, driver }: { database: Database; driver: StorageDriver },
  repository: RepositoryName,
  blob: StoredBlob,
  uploadId: string | null,
): Promise<void> {
  let row = await addBlob(database, repository, blob, uploadId)
  while (row === undefined) {
    await ensureRepository(database, repository)
    row = await addBlob(database, repository, blob, uploadId)
  }
  // The same blob came by another upload before: its bytes stay, these go.
  if (row.key !== blob.key) await driver.delete([blob.key])
}
