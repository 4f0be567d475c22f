import { resolve } from 'node:path'
import { Type } from 'typebox'
import type { OptionsOf } from '../../../storage-drivers/index.ts'
import type { Fault } from '../check.ts'
import { entry, flag, text } from '../fields.ts'
import { at, textAt, type Tree } from '../tree.ts'
import { given, origin, parallel, partSize, server, serverUrl } from './storage-fields.ts'
import { s3Options } from './storage-s3.ts'

/**
 * `storage.rados`: Ceph by the S3 API of its gateway. The name is that of registry:2's driver until 2.3, which spoke to
 * the cluster itself; its parameters are refused.
 */
export const rados = entry({
  /** `regionendpoint`, as `storage.s3` calls it, is the same. */
  endpoint: Type.Optional(server()),
  regionendpoint: Type.Optional(server()),
  bucket: text(),
  accesskey: text(),
  secretkey: text(),
  /** For signatures alone: the gateway takes any, and makes a bucket in its own. */
  region: text('us-east-1'),
  redirectendpoint: Type.Optional(origin()),
  forcepathstyle: flag(true),
  encrypt: flag(false),
  keyid: Type.Optional(text()),
  secure: flag(true),
  skipverify: flag(false),
  cafile: Type.Optional(text()),
  chunksize: partSize(),
  rootdirectory: Type.Optional(text()),
  /** One of the gateway's own, which may have any name. */
  storageclass: Type.Optional(text()),
  useragent: Type.Optional(text()),
  parallel: parallel(),
  createbucket: flag(true),
  contentkeys: flag(false),
  poolname: Type.Optional(text()),
  username: Type.Optional(text()),
})

type RadosSection = Type.StaticDecode<typeof rados>

export function* checkRados(path: string, section: Tree): Iterable<Fault> {
  const endpoint = textAt(section, 'endpoint')
  const regionendpoint = textAt(section, 'regionendpoint')
  if (endpoint === undefined && regionendpoint === undefined) {
    yield { path: `${path}.endpoint`, message: 'is missing: it is the URL of the RADOS Gateway, as in https://rgw:443' }
  }
  if (endpoint !== undefined && regionendpoint !== undefined && endpoint !== regionendpoint) {
    yield {
      path: `${path}.regionendpoint`,
      message: 'is another name for endpoint, which says something else; remove one',
    }
  }
  const [librados] = ['poolname', 'username'].filter(key => at(section, key) !== undefined)
  if (librados !== undefined) {
    yield {
      path: `${path}.${librados}`,
      message:
        'Berth speaks to Ceph by the S3 API of its gateway, not by librados; write endpoint, bucket, accesskey and secretkey in place of poolname and username',
    }
  }
}

export function settleRados(section: RadosSection, cwd: string) {
  const { endpoint, regionendpoint, poolname: _poolname, username: _username, cafile, ...rest } = section
  const url = serverUrl(endpoint ?? regionendpoint ?? '', section.secure)
  return {
    ...rest,
    endpoint: url,
    secure: url.startsWith('https'),
    ...given({ cafile: cafile && resolve(cwd, cafile) }),
  }
}

export function radosOptions({ endpoint, ...rest }: ReturnType<typeof settleRados>): OptionsOf<'s3'> {
  const settings = {
    ...rest,
    regionendpoint: endpoint,
    usedualstack: false,
    accelerate: false,
    usefipsendpoint: false,
    bulkdelete: true,
  }
  return s3Options(settings, 'storage.rados')
}
