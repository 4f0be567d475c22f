import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { openAccess } from '../../server/cli/access.ts'
import type { Config } from '../../server/config/config.ts'
import { loadConfig } from '../../server/config/load.ts'
import { createApp } from '../../server/http/app.ts'
import { listen } from '../../server/http/listen.ts'
import type { RedirectOptions } from '../../server/http/redirects.ts'
import { serverCreator } from '../../server/http/server.ts'
import type { TlsFiles } from '../../server/http/tls.ts'
import { type Logger, silentLog } from '../../server/lib/log.ts'
import { type Database, openDatabase } from '../../server/metadata/database.ts'
import { migrate } from '../../server/metadata/migrate.ts'
import type { HealthCheckSettings } from '../../server/registry/health-checks.ts'
import type { ManifestRules } from '../../server/registry/manifest-rules.ts'
import { createServices, type Services } from '../../server/services.ts'
import { runWorker } from '../../server/workers/loop.ts'
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
  databaseUrl: string
}

export interface TestRegistryOptions {
  /** The section `auth` of the configuration; open to everyone when left out. */
  auth?: Record<string, unknown>
  rules?: Partial<ManifestRules>
  access?: { readOnly?: boolean; deletes?: boolean }
  locations?: { host?: string; prefix?: string; relative?: boolean }
  headers?: Record<string, string[]>
  catalogMaxEntries?: number
  tagsMaxEntries?: number
  /** The URL of a database to use instead of one of its own (Debian's Postgres, say). */
  databaseUrl?: string
  /** The folder to keep the blobs in instead of one of its own: that of another instance, or a small file system. */
  root?: string
  /** Wraps the database, to see what it is asked. */
  wrapDatabase?: (database: Database) => Database
  /** Wraps the driver, for faults. */
  wrapDriver?: (driver: StorageDriver) => StorageDriver
  log?: Logger
  /** Takes the lines about requests. */
  requestLog?: FastifyBaseLogger
  /** Speaks TLS: `url` begins with https. */
  tls?: TlsFiles
  http2?: boolean
  /** Milliseconds between two looks at the certificate's files. */
  watchEveryMs?: number
  /** A client that takes nothing of an answer for so many milliseconds is cut off. */
  /** Whether it may take itself for the only process on its database; `defaults` when left out. */
  sole?: boolean
  /** Whether large bodies are read past Node's parser (server/http/bodies/direct-reads.ts); `defaults` when left out. */
  directReads?: boolean
  silenceMs?: number
  /** The location of a proxy that sends the files of blobs. */
  accelRedirect?: string
  /** Which downloads a driver that signs URLs serves itself; with an empty object, what is the default. */
  redirect?: Partial<RedirectOptions>
  trustedProxies?: readonly string[]
  /** Checks that are run beside the requests. */
  health?: HealthCheckSettings
}

/** Applies the migrations; what `createTestDatabase` makes its template with. */
export async function migrateUrl(url: string): Promise<void> {
  await migrate({ connectionString: url }, silentLog)
}

/** For files of tests that run others in another way. */
export const defaults = { directReads: true, sole: false }

export async function startRegistry(t: Test, options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const url = options.databaseUrl ?? (await createTestDatabase(t, { migrate: migrateUrl }))
  if (options.databaseUrl !== undefined) await migrateUrl(url)
  const log = options.log ?? silentLog
  const opened = openDatabase({ connection: { connectionString: url }, poolSize: 10, log })
  const database = options.wrapDatabase?.(opened) ?? opened
  const root = options.root ?? (await makeRoot(t))
  const plain = await createFilesystemDriver({ rootdirectory: root })
  const driver = options.wrapDriver?.(plain) ?? plain
  const access =
    options.auth && (await openAccess(await configOf(options.auth, root), { database, log, passwordCost: 4 }))
  const services = createServices({
    database,
    ...(access === undefined ? {} : { access }),
    sole: options.sole ?? defaults.sole,
    driver,
    location: 'default',
    rules: { urls: undefined, absentBlobs: false, children: 'all', ...options.rules },
    catalogMaxEntries: options.catalogMaxEntries ?? 1000,
    tagsMaxEntries: options.tagsMaxEntries ?? 1000,
    ...(options.health === undefined ? {} : { health: options.health }),
    log,
  })
  const ending = new AbortController()
  const checks = services.health.checks.map(check => runWorker(check, { signal: ending.signal, log }))
  const app = await createApp({
    services,
    log: options.requestLog ?? frameworkLog,
    accessLog: options.requestLog !== undefined,
    locations: { host: undefined, prefix: '/', relative: false, ...options.locations },
    access: { readOnly: false, deletes: true, ...options.access },
    headers: options.headers ?? {},
    directReads: (options.directReads ?? defaults.directReads) && options.tls === undefined,
    createServer: serverCreator({
      tls: options.tls,
      http2: options.http2 ?? true,
      log,
      ...(options.watchEveryMs === undefined ? {} : { watchEveryMs: options.watchEveryMs }),
    }),
    accelRedirect: options.accelRedirect,
    redirect: options.redirect && { disable: false, expires: 60_000, minsize: 0, rules: [], ...options.redirect },
    trustedProxies: options.trustedProxies,
    ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
  })
  const [address = ''] = await listen(app, { host: '127.0.0.1', port: 0 })
  t.teardown(async () => {
    ending.abort()
    await Promise.all(checks)
    app.server.closeAllConnections()
    await app.close()
    await services[Symbol.asyncDispose]()
    await access?.[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })
  return { url: address, app, services, database, driver, root, databaseUrl: url }
}

/** A configuration with this section, as a file would give it. */
async function configOf(auth: Record<string, unknown>, root: string): Promise<Config> {
  const file = join(root, 'config.yml')
  await writeFile(file, stringify({ version: '0.1', storage: { filesystem: { rootdirectory: root } }, auth }))
  return loadConfig({ argument: file, env: {} }).config
}

/** Not `t.testdir`, which there is only one of for each test. */
async function makeRoot(t: Test): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'registry-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  return root
}

/** The framework wants the whole interface of a logger. */
export const frameworkLog = {
  ...silentLog,
  level: 'silent',
  fatal() {},
  trace() {},
  silent() {},
  child: () => frameworkLog,
}
