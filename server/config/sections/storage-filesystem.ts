import { resolve } from 'node:path'
import { Type } from 'typebox'
import type { OptionsOf } from '../../../storage-drivers/index.ts'
import { entry, text, whole } from '../fields.ts'

/** `storage.filesystem`, as registry:2 and 3 have it. */
export const filesystem = entry({
  rootdirectory: Type.Optional(text()),
  /** Without effect here. */
  maxthreads: Type.Optional(whole()),
})

type FilesystemSection = Type.StaticDecode<typeof filesystem>

/** The section in force. @param data the data folder, where the section names none */
export function settleFilesystem({ rootdirectory }: FilesystemSection, { cwd, data }: { cwd: string; data: string }) {
  return { rootdirectory: rootdirectory === undefined ? data : resolve(cwd, rootdirectory) }
}

export function filesystemOptions(section: ReturnType<typeof settleFilesystem>): OptionsOf<'filesystem'> {
  return section
}
