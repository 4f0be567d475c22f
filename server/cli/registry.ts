import { join } from 'node:path'
import type { Logger } from 'pino'
import type pg from 'pg'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { createStorageDriver } from '../../storage-drivers/index.ts'
import type { Config } from '../config/config.ts'
import { type Database, openDatabase } from '../metadata/database.ts'
import { startEmbeddedPostgres } from '../metadata/embedded/postgres.ts'
import { migrate } from '../metadata/migrate.ts'
import { releaseAllUploads } from '../metadata/uploads.ts'
import type { ManifestRules } from '../registry/manifest-rules.ts'
import { createServices, type Services } from '../services.ts'
import { databaseFailure, storageFailure } from './failures.ts'

export interface Registry extends AsyncDisposable {
  services: Services
  /** Resolves when the database has ended for good, which only Berth's own can: there is no use in going on. */
  failure: Promise<Error>
}

export interface DatabaseServer extends AsyncDisposable {
  connection: pg.ClientConfig
  /** Whether it is Berth's own Postgres: then no other process works on it. */
  embedded: boolean
  failure: Promise<Error>
  /** Brings it to the newest schema. @returns what was applied @throws Error with what to do */
  migrate(): Promise<string[]>
}

/** A Postgres that does not answer for so long counts as out of reach. */
const connectMs = 5_000

/** The operator's Postgres, or the one that Berth brings along, started. */
export async function findDatabase(config: Config, log: Logger): Promise<DatabaseServer> {
  const { url } = config.database
  if (url !== undefined) {
    return {
      connection: { connectionString: url },
      embedded: false,
      failure: new Promise(() => {}),
      migrate: () =>
        migrate({ connectionString: url, connectionTimeoutMillis: connectMs }, log).catch((error: unknown) => {
          throw databaseFailure(error, url)
        }),
      [Symbol.asyncDispose]: async () => {},
    }
  }
  const server = await startEmbeddedPostgres({ folder: join(config.data, 'postgres'), log })
  return {
    connection: server.connection,
    embedded: true,
    failure: server.failure,
    migrate: () => migrate(server.connection, log),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/**
 * Everything below HTTP, started in order; disposing of it stops it in the reverse one.
 * @throws Error with what to do when the database or the store can't be used; then nothing is left running
 */
export async function openRegistry(config: Config, log: Logger): Promise<Registry> {
  await using stack = new AsyncDisposableStack()
  // First what needs no server to fail.
  const driver = stack.use(await openStorage(config.storage))
  const server = stack.use(await findDatabase(config, log))
  await server.migrate()
  const database: Database = stack.use(
    openDatabase({ connection: server.connection, poolSize: config.database.poolsize, log }),
  )
  if (server.embedded) await releaseAllUploads(database)
  const services = createServices({
    database,
    sole: server.embedded,
    driver,
    location: 'default',
    rules: manifestRules(config.validation),
    catalogMaxEntries: config.catalog.maxentries,
    tagsMaxEntries: config.tags.maxtags,
    health: config.health,
    log,
  })
  const running = stack.move()
  return { services, failure: server.failure, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

async function openStorage(storage: Config['storage']): Promise<StorageDriver> {
  try {
    return await createStorageDriver(storage)
  } catch (error) {
    throw storageFailure(error, storage.filesystem.rootdirectory)
  }
}

function manifestRules({ disabled, manifests }: Config['validation']): ManifestRules {
  const { urls, indexes, sparse } = manifests
  const anyUrl = disabled || (urls.allow.length === 0 && urls.deny.length === 0)
  return {
    urls: anyUrl ? undefined : urls,
    absentBlobs: sparse,
    children: sparse || disabled ? 'none' : indexes.platforms === 'list' ? indexes.platformlist : indexes.platforms,
  }
}
