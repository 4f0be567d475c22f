import { Type } from 'typebox'
import { duration, entry, flag, interval, partial, section, text, whole } from '../fields.ts'

/** The parameters of a driver that Berth can't load yet: anything, since `not-yet.ts` refuses the driver as such. */
function unknownDriver() {
  return Type.Optional(Type.Record(Type.String(), Type.Unknown()))
}

/** Exactly one of these stands in `storage`. */
const drivers = {
  filesystem: Type.Optional(entry({ rootdirectory: Type.Optional(text()), maxthreads: Type.Optional(whole()) })),
  inmemory: unknownDriver(),
  s3: unknownDriver(),
  s3aws: unknownDriver(),
  s3goamz: unknownDriver(),
  azure: unknownDriver(),
  gcs: unknownDriver(),
  swift: unknownDriver(),
  oss: unknownDriver(),
  rados: unknownDriver(),
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
  redirect: Type.Optional(partial({ disable: flag() })),
  tag: Type.Optional(partial({ concurrencylimit: whole() })),
}

export const storage = section({ ...drivers, ...besides }, { shorthand: true })

/** The keys of `storage` that are no drivers. */
export const storageSettings: readonly string[] = Object.keys(besides)
