import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type pg from 'pg'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { createStorageDriver, type StorageOptions } from '../../storage-drivers/index.ts'
import type { Config } from '../config/config.ts'
import { reasonOf } from '../lib/reason.ts'
import { openDatabase } from '../metadata/database.ts'
import { startEmbeddedPostgres } from '../metadata/embedded/postgres.ts'
import { migrate } from '../metadata/migrate.ts'
import { releaseAllUploads } from '../metadata/uploads.ts'
import type { ManifestRules } from '../registry/manifest-rules.ts'
import { createServices, type Services, type ServicesOptions } from '../services.ts'
import { openAccess } from './access.ts'
import { backgroundPool, checkConnections, embeddedConnections } from './connections.ts'
import { authoritiesFailure, databaseFailure, storageFailure } from './failures.ts'
import { withMiddleware } from './storage-middleware.ts'

export interface Registry extends AsyncDisposable {
  services: Services
  /** How to reach its database. */
  connection: pg.ClientConfig
  /** Resolves when the database has ended for good, which only Berth's own can: there is no use in going on. */
  failure: Promise<Error>
}

export interface DatabaseServer extends AsyncDisposable {
  connection: pg.ClientConfig
  /** Whether it is Berth's own Postgres: then no other Berth works on it. */
  embedded: boolean
  failure: Promise<Error>
  /** Brings it to the newest schema. @returns what was applied @throws Error with what to do */
  migrate(): Promise<string[]>
}

/** A Postgres that does not answer for so long counts as out of reach. */
const connectMs = 5_000

/** The operator's Postgres, or the one that Berth brings along, started, with enough connections for so many processes. */
export async function findDatabase(config: Config, log: Logger, processes = 1): Promise<DatabaseServer> {
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
  const settings = processes === 1 ? {} : { max_connections: String(embeddedConnections(config, processes)) }
  const server = await startEmbeddedPostgres({ folder: join(config.data, 'postgres'), settings, log })
  return {
    connection: server.connection,
    embedded: true,
    failure: server.failure,
    migrate: () => migrate(server.connection, log),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/**
 * Everything below HTTP, started in order; disposing of it stops it in the reverse one. Where several processes serve
 * HTTP, this is what the first one has: what they need, and the background work.
 * @throws Error with what to do when the database or the store can't be used; then nothing is left running
 */
export async function openRegistry(config: Config, log: Logger, processes: number): Promise<Registry> {
  await using stack = new AsyncDisposableStack()
  // First what needs no server to fail.
  const driver = await withMiddleware(stack.use(await openStorage(config.storage)), config)
  const server = stack.use(await findDatabase(config, log, processes))
  await server.migrate()
  const alone = processes === 1
  const { connection, embedded, failure } = server
  const poolSize = alone ? config.database.poolsize : backgroundPool
  const database = stack.use(openDatabase({ connection, poolSize, log }))
  if (!alone && !embedded) await checkConnections(database, config, processes)
  if (embedded) await releaseAllUploads(database)
  const access = stack.use(await openAccess(config, { database, log }))
  const services = stack.use(
    createServices({
      ...servicesOptions(config, log),
      database,
      access,
      sole: alone && embedded,
      driver,
      // Whose requests are refused by them: each HTTP process has its own.
      ...(alone ? { health: config.health } : {}),
    }),
  )
  const running = stack.move()
  return { services, connection, failure, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** The same for one of several HTTP processes, on the database that the first one has found. */
export async function openServices(
  config: Config,
  log: Logger,
  connection: pg.ClientConfig,
): Promise<AsyncDisposable & { services: Services }> {
  await using stack = new AsyncDisposableStack()
  const driver = await withMiddleware(stack.use(await openStorage(config.storage)), config)
  const database = stack.use(openDatabase({ connection, poolSize: config.database.poolsize, log }))
  const { health } = config
  const access = stack.use(await openAccess(config, { database, log }))
  const services = stack.use(
    createServices({ ...servicesOptions(config, log), database, access, sole: false, driver, health }),
  )
  const running = stack.move()
  return { services, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

function servicesOptions({ validation, catalog, tags }: Config, log: Logger) {
  return {
    location: 'default',
    rules: manifestRules(validation),
    catalogMaxEntries: catalog.maxentries,
    tagsMaxEntries: tags.maxtags,
    log,
  } satisfies Partial<ServicesOptions>
}

async function openStorage(storage: Config['storage']): Promise<StorageDriver> {
  const { driver, cafile } = storage
  try {
    return await createStorageDriver(cafile === undefined ? driver : trusting(driver, await readAuthorities(cafile)))
  } catch (error) {
    throw storageFailure(error, storage)
  }
}

/** The same for a back end whose certificate one of these authorities has signed. */
function trusting(driver: StorageOptions, ca: string): StorageOptions {
  switch (driver.name) {
    case 'filesystem':
      return driver
    case 's3':
      return { name: 's3', options: { ...driver.options, tls: { ...driver.options.tls, ca } } }
    case 'swift':
      return { name: 'swift', options: { ...driver.options, tls: { ...driver.options.tls, ca } } }
    case 'azure':
      return { name: 'azure', options: { ...driver.options, tls: { ...driver.options.tls, ca } } }
    default:
      return driver satisfies never
  }
}

async function readAuthorities(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw authoritiesFailure(file, reasonOf(error), error)
  })
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw authoritiesFailure(file, 'there is no certificate in it')
  return text
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
