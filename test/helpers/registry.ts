import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { createApp } from '../../server/http/app.ts'
import { serverCreator } from '../../server/http/server.ts'
import { type Logger, silentLog } from '../../server/lib/log.ts'
import { type Database, openDatabase } from '../../server/metadata/database.ts'
import { migrate } from '../../server/metadata/migrate.ts'
import type { ManifestRules } from '../../server/registry/manifest-rules.ts'
import { createServices, type Services } from '../../server/services.ts'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { createFilesystemDriver } from '../../storage-drivers/filesystem/filesystem.ts'
import { createTestDatabase } from './postgres.ts'

/** A registry that listens on a port of its own, with a database and a folder of its own; it ends with its test. */
export interface TestRegistry {
  /** `http://127.0.0.1:PORT` */
  url: string
  app: FastifyInstance
  services: Services
  database: Database
  driver: StorageDriver
  /** The folder of the blobs. */
  root: string
}

export interface TestRegistryOptions {
  rules?: Partial<ManifestRules>
  access?: { readOnly?: boolean; deletes?: boolean }
  locations?: { host?: string; prefix?: string; relative?: boolean }
  headers?: Record<string, string[]>
  catalogMaxEntries?: number
  tagsMaxEntries?: number
  /** The URL of a database to use instead of one of its own (Debian's Postgres, say). */
  databaseUrl?: string
  /** Wraps the driver, for faults. */
  wrapDriver?: (driver: StorageDriver) => StorageDriver
  log?: Logger
}

/** Applies the migrations; what `createTestDatabase` makes its template with. */
export async function migrateUrl(url: string): Promise<void> {
  await migrate({ connectionString: url }, silentLog)
}

export async function startRegistry(t: Test, options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const url = options.databaseUrl ?? (await createTestDatabase(t, { migrate: migrateUrl }))
  if (options.databaseUrl !== undefined) await migrateUrl(url)
  const log = options.log ?? silentLog
  const database = openDatabase({ connection: { connectionString: url }, poolSize: 10, log })
  const root = t.testdir()
  const plain = await createFilesystemDriver({ rootdirectory: root })
  const driver = options.wrapDriver?.(plain) ?? plain
  const services = createServices({
    database,
    driver,
    location: 'default',
    rules: { urls: undefined, absentBlobs: false, children: 'all', ...options.rules },
    catalogMaxEntries: options.catalogMaxEntries ?? 1000,
    tagsMaxEntries: options.tagsMaxEntries ?? 1000,
    log,
  })
  const app = await createApp({
    services,
    log: frameworkLog,
    accessLog: false,
    locations: { host: undefined, prefix: '/', relative: false, ...options.locations },
    access: { readOnly: false, deletes: true, ...options.access },
    headers: options.headers ?? {},
    createServer: serverCreator({ tls: undefined, http2: false, log }),
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => {
    app.server.closeAllConnections()
    await app.close()
    await database[Symbol.asyncDispose]()
  })
  return { url: address, app, services, database, driver, root }
}

/** The framework wants the whole interface of a logger. */
const frameworkLog = { ...silentLog, level: 'silent', fatal() {}, trace() {}, silent() {}, child: () => frameworkLog }
