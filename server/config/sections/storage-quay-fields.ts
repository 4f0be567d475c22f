import { Type } from 'typebox'
import { text } from '../fields.ts'
import type { azure } from './storage-azure.ts'
import type { filesystem } from './storage-filesystem.ts'
import type { gcs } from './storage-gcs.ts'
import type { s3 } from './storage-s3.ts'
import type { swift } from './storage-swift.ts'

/** What the parameters of several of Quay's storage engines have in common. */

/** A section of `storage`, as it would stand in a file. */
export interface DriverTree {
  filesystem?: Partial<Type.Static<typeof filesystem>>
  s3?: Partial<Type.Static<typeof s3>>
  swift?: Partial<Type.Static<typeof swift>>
  azure?: Partial<Type.Static<typeof azure>>
  gcs?: Partial<Type.Static<typeof gcs>>
}

/** The values of an engine's parameters. */
export type Values<Properties extends Type.TProperties> = Type.StaticDecode<Type.TObject<Properties>>

/** Something that is not looked at. */
export const anything = Type.Optional(Type.Unknown())

/** The folder below which everything is; a slash at its beginning means nothing. */
export const storagePath = Type.Optional(text())

export function folderOf(storagePath: string | undefined): string | undefined {
  return storagePath?.replaceAll(/^\/+|\/+$/g, '') || undefined
}

const noCopies = 'blobs are written where they stay, and never put together by copies'
const ownRetries = 'Berth has rules of its own for how long it waits and how often it tries'

/** Parameters that do nothing here, and why. */
export const unusedParameters: Readonly<Record<string, string>> = {
  maximum_chunk_size_gb: noCopies,
  maximum_chunk_size_mb: noCopies,
  server_side_assembly: noCopies,
  boto_timeout: ownRetries,
  connect_timeout: ownRetries,
  retry_count: ownRetries,
  retry_on_ratelimit: ownRetries,
  simple_path_concat: 'storage_path is a folder',
}
