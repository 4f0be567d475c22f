import type { StorageDriver } from '../storage-drivers/driver.ts'
import { createHashThreads } from './bytes/hash-threads.ts'
import type { Logger } from './lib/log.ts'
import type { Database } from './metadata/database.ts'
import { type Blobs, createBlobs } from './registry/blobs.ts'
import { type Catalog, createCatalog } from './registry/catalog.ts'
import { createHealth, type Health } from './registry/health.ts'
import type { HealthCheckSettings } from './registry/health-checks.ts'
import { createManifestMemory } from './registry/manifest-memory.ts'
import type { ManifestRules } from './registry/manifest-rules.ts'
import { createManifests, type Manifests } from './registry/manifests.ts'
import { createReferrers, type Referrers } from './registry/referrers.ts'
import { createOwnUploads } from './registry/own-uploads.ts'
import { createSharedUploads } from './registry/shared-uploads.ts'
import { createTags, type Tags } from './registry/tags.ts'
import { createUploadExpiry, type UploadExpiry } from './registry/upload-expiry.ts'
import { createUploads, type Uploads } from './registry/uploads.ts'

/**
 * Every operation of the registry, wired to one database and one blob driver. To be disposed of before these, when no
 * request comes any more.
 */
export interface Services extends AsyncDisposable {
  blobs: Blobs
  uploads: Uploads
  uploadExpiry: UploadExpiry
  manifests: Manifests
  tags: Tags
  referrers: Referrers
  catalog: Catalog
  health: Health
}

export interface ServicesOptions {
  database: Database
  /** Whether no other process changes the database: then what it says may be remembered. */
  sole: boolean
  driver: StorageDriver
  /** The name of the driver's place in the rows; later there can be several. */
  location: string
  rules: ManifestRules
  /** The largest pages that a client may ask for. */
  catalogMaxEntries: number
  tagsMaxEntries: number
  /** The checks of `health`; none when left out. */
  health?: HealthCheckSettings
  log: Logger
}

export function createServices({
  database,
  sole,
  driver,
  location,
  rules,
  catalogMaxEntries,
  tagsMaxEntries,
  health,
  log,
}: ServicesOptions): Services {
  const memory = createManifestMemory({ database, sole })
  const sessions = sole ? createOwnUploads({ database, log }) : createSharedUploads({ database, log })
  return {
    blobs: createBlobs({ database, sole, driver, location }),
    uploads: createUploads({ database, sessions, driver, location, threads: createHashThreads(), log }),
    uploadExpiry: createUploadExpiry({ database, sessions, driver }),
    manifests: createManifests({ database, memory, rules }),
    tags: createTags({ database, memory, maxEntries: tagsMaxEntries }),
    referrers: createReferrers({ database }),
    catalog: createCatalog({ database, maxEntries: catalogMaxEntries }),
    health: createHealth({ database, driver, settings: health, log }),
    [Symbol.asyncDispose]: () => sessions.settle(),
  }
}
