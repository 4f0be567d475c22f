import { Type } from 'typebox'
import type { OptionsOf } from '../../../storage-drivers/index.ts'
import type { Fault } from '../check.ts'
import { entry, flag, text, whole } from '../fields.ts'
import { at, type Tree } from '../tree.ts'
import { parallel, partSize } from './storage-fields.ts'
import { s3Options } from './storage-s3.ts'

/**
 * `storage.gcs`: Google Cloud Storage by its XML API, which takes S3's requests when they are signed by an HMAC key. The
 * service accounts of registry:2 are keys of another kind, and are refused.
 */
export const gcs = entry({
  bucket: text(),
  accesskey: text(),
  secretkey: text(),
  chunksize: partSize(),
  rootdirectory: Type.Optional(text()),
  useragent: Type.Optional(text()),
  parallel: parallel(),
  contentkeys: flag(false),
  keyfile: Type.Optional(text()),
  credentials: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  /** Without effect here. */
  maxconcurrency: Type.Optional(whole()),
})

type GcsSection = Type.StaticDecode<typeof gcs>

export function* checkGcs(path: string, section: Tree): Iterable<Fault> {
  const [serviceAccount] = ['keyfile', 'credentials'].filter(key => at(section, key) !== undefined)
  if (serviceAccount === undefined) return
  yield {
    path: `${path}.${serviceAccount}`,
    message:
      'Berth speaks to Google by HMAC keys, not by the keys of a service account; make one by `gcloud storage hmac create ACCOUNT@PROJECT.iam.gserviceaccount.com`, and write its access ID and secret in accesskey and secretkey',
  }
}

export function settleGcs(section: GcsSection) {
  const { keyfile: _keyfile, credentials: _credentials, maxconcurrency: _maxconcurrency, ...rest } = section
  return rest
}

export function gcsOptions(section: ReturnType<typeof settleGcs>): OptionsOf<'s3'> {
  const settings = {
    ...section,
    regionendpoint: 'https://storage.googleapis.com',
    // The name that Google's own examples sign with.
    region: 'auto',
    forcepathstyle: true,
    encrypt: false,
    skipverify: false,
    usedualstack: false,
    accelerate: false,
    usefipsendpoint: false,
    // A bucket there belongs to a project and a place, which S3's request does not name.
    createbucket: false,
    // Google takes such requests since 2026 only, and those of Amazon's client have no Content-MD5.
    bulkdelete: false,
  }
  return s3Options(settings, 'storage.gcs')
}
