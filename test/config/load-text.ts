import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ConfigError } from '../../server/config/config.ts'
import { type LoadedConfig, loadConfig } from '../../server/config/load.ts'

export type Env = Record<string, string>

/** The least that a file has to say. */
export const least = 'version: 0.1\nstorage: filesystem\n'

/** Loads the text of a file with an environment, the file's folder being the working one. */
export function loadText(t: Test, text: string, env: Env = {}): LoadedConfig {
  const folder = t.testdir()
  writeFileSync(join(folder, 'config.yml'), text)
  return loadConfig({ argument: 'config.yml', env, cwd: folder })
}

/** The faults for which a file with an environment is refused; none when it loads. */
export function faultsOf(t: Test, text: string, env: Env = {}): readonly string[] {
  try {
    loadText(t, text, env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}
