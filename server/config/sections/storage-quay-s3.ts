import { Type } from 'typebox'
import { checked, flag, text } from '../fields.ts'
import { bounded, given, mebibyte, server, serverUrl, serverWithScheme } from './storage-fields.ts'
import { anything, type DriverTree, folderOf, storagePath, type Values } from './storage-quay-fields.ts'

/** Quay's engines that speak S3: their parameters, and the section of `storage` that says the same. */

const port = Type.Optional(bounded({ least: 1, most: 65_535 }))

const common = {
  storage_path: storagePath,
  /** What Quay cuts an upload into: the size of a part. */
  minimum_chunk_size_mb: Type.Optional(bounded({ least: 5, most: 5120 })),
  signature_version: Type.Optional(
    checked(
      text => text === 's3v4',
      text => `${JSON.stringify(text)} is not the way in which Berth signs requests; write s3v4, or remove the key`,
    ),
  ),
}

function commonSettings({ storage_path, minimum_chunk_size_mb: megabytes }: Values<typeof common>) {
  const chunksize = megabytes === undefined ? undefined : megabytes * mebibyte
  return given({ rootdirectory: folderOf(storage_path), chunksize })
}

/** Of the engines for Amazon, all but the keys. */
export const amazon = {
  ...common,
  s3_bucket: text(),
  s3_region: Type.Optional(text()),
  host: Type.Optional(server()),
  port,
  endpoint_url: Type.Optional(serverWithScheme()),
  maximum_chunk_size_gb: anything,
}

export const amazonKeys = {
  s3_access_key: Type.Optional(text()),
  s3_secret_key: Type.Optional(text()),
  aws_session_token: Type.Optional(text()),
}

/** Like Quay it asks for encryption, and makes no bucket: one that is misspelt is to be told, not made. */
export function amazonSection(values: Values<typeof amazon & typeof amazonKeys>): Required<Pick<DriverTree, 's3'>> {
  return {
    s3: {
      ...commonSettings(values),
      bucket: values.s3_bucket,
      encrypt: true,
      createbucket: false,
      ...placeOf(values),
      ...given({
        accesskey: values.s3_access_key,
        secretkey: values.s3_secret_key,
        sessiontoken: values.aws_session_token,
      }),
    },
  }
}

/** A host of Amazon's only tells the region: the usual one is found by that, and has a name for each bucket. */
function placeOf({ host, port, endpoint_url, s3_region }: Values<typeof amazon>) {
  const endpoint = endpoint_url ?? (host && endpointOf(host, { port, secure: true }))
  const amazons = /^https:\/\/s3(?:[.-](?<region>[a-z]{2}(?:-[a-z]+)+-\d+))?\.amazonaws\.com(?::443)?\/?$/.exec(
    endpoint ?? '',
  )
  const region = s3_region ?? amazons?.groups?.['region'] ?? 'us-east-1'
  return { region, ...given({ regionendpoint: amazons === null ? endpoint : undefined }) }
}

/** Of the engines for servers that speak like S3. */
export const gateway = {
  ...common,
  hostname: server(),
  is_secure: flag(true),
  port,
  bucket_name: text(),
  access_key: text(),
  secret_key: text(),
  region_name: Type.Optional(text()),
  maximum_chunk_size_mb: anything,
  server_side_assembly: anything,
}

export function gatewaySection(values: Values<typeof gateway>): DriverTree {
  return {
    s3: {
      ...commonSettings(values),
      bucket: values.bucket_name,
      regionendpoint: endpointOf(values.hostname, { port: values.port, secure: values.is_secure }),
      accesskey: values.access_key,
      secretkey: values.secret_key,
      createbucket: false,
      ...given({ region: values.region_name }),
    },
  }
}

/** As Quay makes it: the scheme and the port are those of the host, where it has them. */
function endpointOf(host: string, { port, secure }: { port: number | undefined; secure: boolean }): string {
  const url = serverUrl(host, secure)
  return port === undefined || /:\d+$/.test(url) ? url : `${url}:${port}`
}

export const google = {
  ...common,
  bucket_name: text(),
  access_key: text(),
  secret_key: text(),
  boto_timeout: anything,
  maximum_chunk_size_mb: anything,
}

export function googleSection(values: Values<typeof google>): DriverTree {
  const { bucket_name, access_key, secret_key } = values
  return { gcs: { ...commonSettings(values), bucket: bucket_name, accesskey: access_key, secretkey: secret_key } }
}
