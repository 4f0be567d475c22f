import { Type } from 'typebox'
import type { StorageOptions } from '../../storage-drivers/index.ts'
import type { Address } from './address.ts'
import { checked, oneOf, positiveOr, section, text, whole } from './fields.ts'
import { quayStorageKeys } from './quay-storage.ts'
import { auth } from './sections/auth.ts'
import { health } from './sections/health.ts'
import { http } from './sections/http.ts'
import { compatibility, middleware, notifications, policy, proxy, redis, reporting } from './sections/later.ts'
import { log, logLevels } from './sections/log.ts'
import { storage } from './sections/storage.ts'
import type { settleAzure } from './sections/storage-azure.ts'
import type { settleFilesystem } from './sections/storage-filesystem.ts'
import type { settleGcs } from './sections/storage-gcs.ts'
import type { StorageMiddleware } from './sections/storage-middleware.ts'
import type { QuayCloudFront } from './sections/storage-quay.ts'
import type { settleRados } from './sections/storage-rados.ts'
import type { settleS3 } from './sections/storage-s3.ts'
import type { settleSwift } from './sections/storage-swift.ts'
import { validation } from './sections/validation.ts'

/**
 * Every key that a configuration file may have: those of registry:2 and registry:3, Berth's own (`data`, `database`),
 * and those by which Quay says where blobs are. Types, checks, defaults, the names of environment variables and the
 * nearest known key of a wrong one all follow from it. The kinds of fields are in `fields.ts`. A new key is one line
 * here or in `sections/`.
 */
export const ConfigSchema = Type.Object(
  {
    version: checked(
      text => text === '0.1',
      text => `${JSON.stringify(text)} is not a version that Berth knows; write version: 0.1`,
    ),
    /** The folder where Berth keeps what it has: its own Postgres, and the blobs unless they have a place of their own. */
    data: Type.Optional(text()),
    database: section({
      /** Without one, Berth starts a Postgres of its own in the data folder. */
      url: Type.Optional(
        checked(
          text => /^postgres(ql)?:\/\//.test(text),
          () => 'is not the URL of a Postgres, as in postgresql://user:password@host:5432/berth',
        ),
      ),
      /** Connections which one process opens at most. */
      poolsize: whole({ minimum: 1, default: 10 }),
    }),
    log,
    /** The older spelling of `log.level`. */
    loglevel: Type.Optional(oneOf(logLevels)),
    http,
    storage,
    validation,
    health,
    catalog: section({ maxentries: positiveOr(1000) }),
    tags: section({ maxtags: positiveOr(1000, { minimum: 0 }) }),
    auth: Type.Optional(auth),
    middleware: Type.Optional(middleware),
    reporting: Type.Optional(reporting),
    notifications: Type.Optional(notifications),
    redis: Type.Optional(redis),
    proxy: Type.Optional(proxy),
    policy: Type.Optional(policy),
    compatibility: Type.Optional(compatibility),
    ...quayStorageKeys,
  },
  { additionalProperties: false },
)

/** A configuration as the schema decodes it, before `finish.ts` has settled what depends on several keys. */
export type ParsedConfig = Type.StaticDecode<typeof ConfigSchema>

/**
 * What everything else is made from: the configuration in force, checked, frozen, and nested as in the file. All
 * spans of time are milliseconds, all paths are absolute, all patterns are compiled.
 */
export interface Config {
  readonly version: string
  /** The data folder. */
  readonly data: string
  readonly database: Frozen<ParsedConfig['database']>
  readonly log: Frozen<Omit<ParsedConfig['log'], 'hooks' | 'reportcaller'>>
  readonly http: HttpConfig
  readonly storage: StorageConfig
  /** Undefined when the registry asks no one who they are. */
  readonly auth?: Frozen<NonNullable<ParsedConfig['auth']>>
  /** Those in force; undefined when there are none. */
  readonly middleware?: { readonly storage: readonly Frozen<StorageMiddleware>[] }
  readonly validation: Frozen<Omit<ParsedConfig['validation'], 'enabled'>>
  readonly health: Frozen<ParsedConfig['health']>
  readonly catalog: Frozen<ParsedConfig['catalog']>
  readonly tags: Frozen<ParsedConfig['tags']>
}

type ParsedHttp = ParsedConfig['http']

export interface HttpConfig extends Frozen<Omit<ParsedHttp, 'addr' | 'tls' | 'h2c'>> {
  readonly addr: Readonly<Address>
  /** Undefined when the registry speaks plain HTTP. */
  readonly tls?: TlsConfig
}

export interface TlsConfig extends Frozen<Omit<NonNullable<ParsedHttp['tls']>, 'certificate' | 'key' | 'letsencrypt'>> {
  readonly certificate: string
  readonly key: string
  /** `ciphersuites` as `node:tls` takes them in its option `ciphers`. */
  readonly ciphers: string
}

export interface StorageConfig
  extends Frozen<Pick<ParsedConfig['storage'], 'delete' | 'maintenance' | 'redirect'>>, DriverSection {
  /** What the driver is made from. */
  readonly driver: StorageOptions
  /** The file with the certificate authorities by which the store is known, PEM; to be read when the driver is made. */
  readonly cafile?: string
  /** From Quay's CloudFrontedS3Storage: blobs are below the driver's root directory, which is its origin path. */
  readonly cloudfront?: Readonly<QuayCloudFront>
}

/** The section of the driver in force, as it can be written in a file again. Nothing else is made from it. */
export interface DriverSection {
  readonly filesystem?: Frozen<ReturnType<typeof settleFilesystem>>
  readonly s3?: Frozen<ReturnType<typeof settleS3>>
  readonly swift?: Frozen<ReturnType<typeof settleSwift>>
  readonly rados?: Frozen<ReturnType<typeof settleRados>>
  readonly azure?: Frozen<ReturnType<typeof settleAzure>>
  readonly gcs?: Frozen<ReturnType<typeof settleGcs>>
}

/** The type of a value and of all that is in it, once it can't be changed any more. */
export type Frozen<Value> = Value extends RegExp
  ? Value
  : Value extends object
    ? { readonly [Key in keyof Value]: Frozen<Value[Key]> }
    : Value

/** All that is wrong with a configuration; the message is a list which a person can work through. */
export class ConfigError extends Error {
  /** One sentence each, beginning with the path of the key where there is one. */
  readonly faults: readonly string[]

  constructor(where: string, faults: readonly string[]) {
    super(`${where} is not valid:\n${faults.map(fault => `  - ${fault}`).join('\n')}`)
    this.name = 'ConfigError'
    this.faults = faults
  }
}
