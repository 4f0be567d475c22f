import type { StorageDriver } from '../storage-drivers/driver.ts'
import type { AccountsGuard } from './access/accounts-guard.ts'
import type { Guard } from './access/guard.ts'
import { createOpenGuard } from './access/open.ts'
import type { TokenService } from './access/token-service.ts'
import type { Accounts } from './accounts/index.ts'
import { createHashThreads } from './bytes/hash-threads.ts'
import type { Logger } from './lib/log.ts'
import type { Database } from './metadata/database.ts'
import { type Blobs, createBlobs } from './registry/blobs.ts'
import { type Catalog, createCatalog } from './registry/catalog.ts'
import { createImageConfigs } from './registry/image-configs.ts'
import { createImages, type Images } from './registry/images.ts'
import { createLabels, type Labels } from './registry/labels.ts'
import { createHealth, type Health } from './registry/health.ts'
import type { HealthCheckSettings } from './registry/health-checks.ts'
import { createManifestMemory } from './registry/manifest-memory.ts'
import type { ManifestRules } from './registry/manifest-rules.ts'
import { createManifests, type Manifests } from './registry/manifests.ts'
import { createReferrers, type Referrers } from './registry/referrers.ts'
import {
  createOpenRepositories,
  createRepositoryChanges,
  type Repositories,
  type RepositoryChanges,
} from './registry/repositories.ts'
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
  access: Access
  blobs: Blobs
  uploads: Uploads
  uploadExpiry: UploadExpiry
  manifests: Manifests
  tags: Tags
  referrers: Referrers
  catalog: Catalog
  images: Images
  labels: Labels
  health: Health
}

/** Who may do what: made from the configuration (server/cli/access.ts). */
export interface Access {
  guard: Guard
  /** How a push makes a repository. */
  repositories: Repositories
  /** Through which repositories are deleted. */
  changes: RepositoryChanges
  /** Where there are accounts. */
  accounts: AccountsAccess | undefined
}

export interface AccountsAccess {
  guard: AccountsGuard
  operations: Accounts
  tokens: TokenService
}

/** A registry that asks no one. */
export function openToEveryone(database: Database): Access {
  return {
    guard: createOpenGuard(),
    repositories: createOpenRepositories({ database }),
    changes: createRepositoryChanges(),
    accounts: undefined,
  }
}

export interface ServicesOptions {
  database: Database
  /** Open to everyone when left out. */
  access?: Access
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
  access = openToEveryone(database),
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
  const { repositories } = access
  const sessions = sole ? createOwnUploads({ database, log }) : createSharedUploads({ database, log })
  const blobs = createBlobs({ database, repositories, sole, driver, location })
  const manifests = createManifests({ database, repositories, memory, rules })
  const configs = createImageConfigs({ blobs })
  for (const remembering of [memory, blobs, sessions]) access.changes.tell(remembering)
  return {
    access,
    blobs,
    uploads: createUploads({ database, repositories, sessions, driver, location, threads: createHashThreads(), log }),
    uploadExpiry: createUploadExpiry({ database, sessions, driver }),
    manifests,
    tags: createTags({ database, memory, maxEntries: tagsMaxEntries }),
    referrers: createReferrers({ database }),
    catalog: createCatalog({ database, maxEntries: catalogMaxEntries }),
    images: createImages({ manifests, configs }),
    labels: createLabels({ database, configs }),
    health: createHealth({ database, driver, settings: health, log }),
    [Symbol.asyncDispose]: () => sessions.settle(),
  }
}
