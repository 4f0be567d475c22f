import { resolve } from 'node:path'
import { Type } from 'typebox'
import type { OptionsOf } from '../../../storage-drivers/index.ts'
import type { Fault } from '../check.ts'
import { entry, flag, oneOf, text, whole } from '../fields.ts'
import { at, textAt, type Tree } from '../tree.ts'
import { given, origin, parallel, partSize, server, serverUrl } from './storage-fields.ts'

/** `storage.s3`: the parameters of registry:2 and 3, and behind them those of Berth's own. */
export const s3 = entry({
  bucket: text(),
  /** Needed for Amazon; other servers mostly take any. */
  region: Type.Optional(text()),
  regionendpoint: Type.Optional(server()),
  redirectendpoint: Type.Optional(origin()),
  forcepathstyle: Type.Optional(flag()),
  accesskey: Type.Optional(text()),
  secretkey: Type.Optional(text()),
  encrypt: flag(false),
  keyid: Type.Optional(text()),
  /** What a `regionendpoint` without a scheme is spoken to by. */
  secure: flag(true),
  skipverify: flag(false),
  chunksize: partSize(),
  rootdirectory: Type.Optional(text()),
  /** `NONE` stands for the bucket's own, as the key left out does. */
  storageclass: Type.Optional(
    oneOf([
      'NONE',
      'STANDARD',
      'REDUCED_REDUNDANCY',
      'STANDARD_IA',
      'ONEZONE_IA',
      'INTELLIGENT_TIERING',
      'OUTPOSTS',
      'GLACIER_IR',
      'EXPRESS_ONEZONE',
    ]),
  ),
  useragent: Type.Optional(text()),
  objectacl: Type.Optional(
    oneOf([
      'private',
      'public-read',
      'public-read-write',
      'authenticated-read',
      'aws-exec-read',
      'bucket-owner-read',
      'bucket-owner-full-control',
    ]),
  ),
  usedualstack: flag(false),
  accelerate: flag(false),
  usefipsendpoint: flag(false),
  sessiontoken: Type.Optional(text()),
  rolearn: Type.Optional(text()),
  cafile: Type.Optional(text()),
  parallel: parallel(),
  createbucket: flag(true),
  contentkeys: flag(false),
  bulkdelete: flag(true),
  /** Without effect here; `v4auth: false` is refused. */
  v4auth: Type.Optional(flag()),
  multipartcopychunksize: Type.Optional(whole()),
  multipartcopymaxconcurrency: Type.Optional(whole()),
  multipartcopythresholdsize: Type.Optional(whole()),
  loglevel: Type.Optional(text()),
})

type S3Section = Type.StaticDecode<typeof s3>

const amazonAlone = ['usedualstack', 'accelerate', 'usefipsendpoint'] as const

/** What is wrong with the section by the way its keys depend on each other. */
export function* checkS3(path: string, section: Tree): Iterable<Fault> {
  const ownServer = textAt(section, 'regionendpoint') !== undefined
  if (!ownServer && textAt(section, 'region') === undefined) {
    yield {
      path: `${path}.region`,
      message: 'is missing: name the region of the bucket or, where it is not at Amazon, the server in regionendpoint',
    }
  }
  if (!ownServer && at(section, 'secure') === false) {
    yield { path: `${path}.secure`, message: 'false is for a server in regionendpoint: Amazon is spoken to over TLS' }
  }
  for (const key of amazonAlone.filter(key => ownServer && at(section, key) === true)) {
    yield { path: `${path}.${key}`, message: 'is for Amazon alone, and does not go with regionendpoint; remove one' }
  }
  if (at(section, 'accelerate') === true && at(section, 'forcepathstyle') === true) {
    yield { path: `${path}.accelerate`, message: 'does not go with forcepathstyle: true; remove one' }
  }
  if (at(section, 'v4auth') === false) {
    yield {
      path: `${path}.v4auth`,
      message: 'Berth signs requests by version 4 alone; remove the key, or set it to true',
    }
  }
  yield* checkKeys(path, section)
}

function* checkKeys(path: string, section: Tree): Iterable<Fault> {
  const has = (key: string) => textAt(section, key) !== undefined
  if (has('accesskey') && !has('secretkey')) {
    yield { path: `${path}.secretkey`, message: 'is missing: accesskey is of no use without it' }
  }
  if (has('secretkey') && !has('accesskey')) {
    yield { path: `${path}.accesskey`, message: 'is missing: secretkey is of no use without it' }
  }
  if (has('sessiontoken') && !has('accesskey')) {
    yield { path: `${path}.sessiontoken`, message: 'is of no use without the accesskey and the secretkey it came with' }
  }
  if (has('sessiontoken') && has('rolearn')) {
    yield { path: `${path}.sessiontoken`, message: 'does not go with rolearn; remove one of the two' }
  }
}

/** The section in force: what depends on other keys is settled, and what has no effect is left out. */
export function settleS3(section: S3Section, cwd: string) {
  const {
    v4auth: _v4auth,
    multipartcopychunksize: _multipartcopychunksize,
    multipartcopymaxconcurrency: _multipartcopymaxconcurrency,
    multipartcopythresholdsize: _multipartcopythresholdsize,
    loglevel: _loglevel,
    region,
    regionendpoint,
    forcepathstyle,
    cafile,
    ...rest
  } = section
  const endpoint = regionendpoint && serverUrl(regionendpoint, section.secure)
  return {
    ...rest,
    region: region ?? 'us-east-1',
    // registry:2 did so; what speaks like S3 seldom has a name for each bucket.
    forcepathstyle: forcepathstyle ?? endpoint !== undefined,
    secure: endpoint === undefined || endpoint.startsWith('https'),
    ...given({ regionendpoint: endpoint, cafile: cafile && resolve(cwd, cafile) }),
  }
}

/** The keys of a settled section from which the S3 driver's options follow. */
type S3Settings = Omit<ReturnType<typeof settleS3>, 'storageclass' | 'objectacl' | 'secure' | 'cafile'> & {
  storageclass?: string
  objectacl?: string
}

export function s3Options(settings: S3Settings, section = 'storage.s3'): OptionsOf<'s3'> {
  const { bucket, region, storageclass } = settings
  return {
    section,
    bucket,
    region,
    pathStyle: settings.forcepathstyle,
    rootdirectory: settings.rootdirectory ?? '',
    chunkSize: settings.chunksize,
    parallel: settings.parallel,
    tls: { skipVerify: settings.skipverify },
    dualstack: settings.usedualstack,
    accelerate: settings.accelerate,
    fips: settings.usefipsendpoint,
    createBucket: settings.createbucket,
    contentKeys: settings.contentkeys,
    bulkDelete: settings.bulkdelete,
    ...given({
      endpoint: settings.regionendpoint,
      redirectEndpoint: settings.redirectendpoint,
      credentials: credentialsOf(settings),
      encryption: encryptionOf(settings),
      storageClass: storageclass === 'NONE' ? undefined : storageclass,
      acl: settings.objectacl,
      userAgent: settings.useragent,
    }),
  }
}

function credentialsOf({ accesskey, secretkey, sessiontoken, rolearn }: S3Settings): OptionsOf<'s3'>['credentials'] {
  if (rolearn !== undefined) return { role: rolearn, ...given({ accessKey: accesskey, secretKey: secretkey }) }
  if (accesskey === undefined || secretkey === undefined) return undefined
  return { accessKey: accesskey, secretKey: secretkey, ...given({ sessionToken: sessiontoken }) }
}

function encryptionOf({ encrypt, keyid }: S3Settings): OptionsOf<'s3'>['encryption'] {
  if (!encrypt) return undefined
  return keyid === undefined ? { algorithm: 'AES256' } : { algorithm: 'aws:kms', keyId: keyid }
}
