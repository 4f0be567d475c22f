import { Type } from 'typebox'
import { duration, flag, interval, partial, section, text, whole } from '../fields.ts'
import { redirect } from './redirect.ts'
import { azure } from './storage-azure.ts'
import { filesystem } from './storage-filesystem.ts'
import { gcs } from './storage-gcs.ts'
import { rados } from './storage-rados.ts'
import { s3 } from './storage-s3.ts'
import { swift } from './storage-swift.ts'

/** The parameters of a driver that is refused as such (`not-yet.ts`, `no-meaning.ts`): anything. */
function refused() {
  return Type.Optional(Type.Record(Type.String(), Type.Unknown()))
}

/** Exactly one of these stands in `storage`. */
const drivers = {
  filesystem: Type.Optional(filesystem),
  s3: Type.Optional(s3),
  /** Other names for `s3`. */
  s3aws: Type.Optional(s3),
  s3goamz: Type.Optional(s3),
  swift: Type.Optional(swift),
  rados: Type.Optional(rados),
  azure: Type.Optional(azure),
  gcs: Type.Optional(gcs),
  oss: refused(),
  inmemory: refused(),
}

const besides = {
  /** Unlike in registry:2, deleting is allowed unless it is switched off. */
  delete: section({ enabled: flag(true) }),
  maintenance: section({
    /** Removes uploads that nobody went on with for `age`. */
    uploadpurging: section({
      enabled: flag(true),
      age: duration('168h'),
      interval: interval('24h'),
      dryrun: flag(false),
    }),
    readonly: section({ enabled: flag(false) }),
  }),
  cache: Type.Optional(partial({ blobdescriptor: text(), blobdescriptorsize: whole(), layerinfo: text() })),
  redirect,
  tag: Type.Optional(partial({ concurrencylimit: whole() })),
}

export const storage = section({ ...drivers, ...besides }, { shorthand: true })

/** The keys of `storage` that are no drivers. */
export const storageSettings: readonly string[] = Object.keys(besides)
