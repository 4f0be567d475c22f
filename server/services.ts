import type { StorageDriver } from '../storage-drivers/driver.ts'
import type { Logger } from './lib/log.ts'
import type { Database } from './metadata/database.ts'
import { type Blobs, createBlobs } from './registry/blobs.ts'
import { type Catalog, createCatalog } from './registry/catalog.ts'
import { createHealth, type Health } from './registry/health.ts'
import type { HealthCheckSettings } from './registry/health-checks.ts'
import type { ManifestRules } from './registry/manifest-rules.ts'
import { createManifests, type Manifests } from './registry/manifests.ts'
import { createReferrers, type Referrers } from './registry/referrers.ts'
import { createTags, type Tags } from './registry/tags.ts'
import { createUploadExpiry, type UploadExpiry } from './registry/upload-expiry.ts'
import { createUploads, type Uploads } from './registry/uploads.ts'

/** Every operation of the registry, wired to one database and one blob driver. */
export interface Services {
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
  driver,
  location,
  rules,
  catalogMaxEntries,
  tagsMaxEntries,
  health,
  log,
}: ServicesOptions): Services {
  return {
    blobs: createBlobs({ database, driver, location }),
    uploads: createUploads({ database, driver, location, log }),
    uploadExpiry: createUploadExpiry({ database, driver }),
    manifests: createManifests({ database, rules }),
    tags: createTags({ database, maxEntries: tagsMaxEntries }),
    referrers: createReferrers({ database }),
    catalog: createCatalog({ database, maxEntries: catalogMaxEntries }),
    health: createHealth({ database, driver, settings: health, log }),
  }
}
