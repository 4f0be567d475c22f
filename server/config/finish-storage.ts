import { resolve } from 'node:path'
import { Value } from 'typebox/value'
import type { StorageOptions } from '../../storage-drivers/index.ts'
import type { DriverSection, ParsedConfig, StorageConfig } from './config.ts'
import { quayStorage } from './quay-storage.ts'
import { azureOptions, settleAzure } from './sections/storage-azure.ts'
import { filesystemOptions, settleFilesystem } from './sections/storage-filesystem.ts'
import { gcsOptions, settleGcs } from './sections/storage-gcs.ts'
import { radosOptions, settleRados } from './sections/storage-rados.ts'
import { s3Options, settleS3 } from './sections/storage-s3.ts'
import { settleSwift, swiftOptions } from './sections/storage-swift.ts'
import { storage } from './sections/storage.ts'

type ParsedStorage = ParsedConfig['storage']

/**
 * Settles where blobs are, whichever way it was spelt, and where all else is: the data folder. Relative paths count from
 * `cwd`.
 */
export function finishStorage(parsed: ParsedConfig, cwd: string): { data: string; storage: StorageConfig } {
  const { delete: deletes, maintenance, redirect } = parsed.storage
  const quay = quayStorage(parsed)
  const sections = quay === undefined ? parsed.storage : Value.Decode(storage, quay.section)
  // The volume that users of registry:2 mount is the one of the driver: so it holds everything, unless told otherwise.
  const data = resolve(cwd, parsed.data ?? sections.filesystem?.rootdirectory ?? 'data')
  const { section, driver, cafile } = driverOf(sections, { cwd, data })
  const cloudFront = quay?.cloudFront
  return {
    data,
    storage: {
      ...section,
      delete: deletes,
      maintenance,
      redirect: parsed.FEATURE_PROXY_STORAGE === true ? { ...redirect, disable: true } : redirect,
      driver,
      ...(cafile === undefined ? {} : { cafile }),
      ...(cloudFront === undefined
        ? {}
        : { cloudfront: { ...cloudFront, privateKeyFile: resolve(cwd, cloudFront.privateKeyFile) } }),
    },
  }
}

interface Driver {
  section: DriverSection
  driver: StorageOptions
  cafile?: string | undefined
}

function driverOf(sections: ParsedStorage, { cwd, data }: { cwd: string; data: string }): Driver {
  const { filesystem, s3aws, s3goamz, s3 = s3aws ?? s3goamz, rados, gcs, swift, azure } = sections
  if (s3 !== undefined) {
    const section = settleS3(s3, cwd)
    return { section: { s3: section }, driver: { name: 's3', options: s3Options(section) }, cafile: section.cafile }
  }
  if (rados !== undefined) {
    const section = settleRados(rados, cwd)
    return {
      section: { rados: section },
      driver: { name: 's3', options: radosOptions(section) },
      cafile: section.cafile,
    }
  }
  if (gcs !== undefined) {
    const section = settleGcs(gcs)
    return { section: { gcs: section }, driver: { name: 's3', options: gcsOptions(section) } }
  }
  if (swift !== undefined) {
    const section = settleSwift(swift, cwd)
    return {
      section: { swift: section },
      driver: { name: 'swift', options: swiftOptions(section) },
      cafile: section.cafile,
    }
  }
  if (azure !== undefined) {
    const section = settleAzure(azure, cwd)
    return {
      section: { azure: section },
      driver: { name: 'azure', options: azureOptions(section) },
      cafile: section.cafile,
    }
  }
  if (filesystem === undefined) throw new TypeError('storage was not checked')
  const section = settleFilesystem(filesystem, { cwd, data })
  return { section: { filesystem: section }, driver: { name: 'filesystem', options: filesystemOptions(section) } }
}
