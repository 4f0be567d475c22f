import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

/** The checkout's own folder. */
export const projectFolder = resolve(import.meta.dirname, '..')

/** What was fetched or built once and is worth keeping: clients that Debian lacks, a Debian root file system. */
export const cacheFolder = join(projectFolder, 'node_modules/.cache/berth')

/** Where results are written for a person to read; not under version control. */
export const resultsFolder = join(projectFolder, 'results')

/**
 * The folders in which programs are looked for: those on the PATH, what `npm test` has built, and two places where
 * Debian keeps programs that a plain user's PATH leaves out.
 */
function programFolders(): string[] {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter(folder => folder !== '')
  return [...new Set([...onPath, join(cacheFolder, 'bin'), '/usr/sbin', '/sbin', ...postgresFolders()])]
}

/** The program's full path, or undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  return programFolders()
    .map(folder => join(folder, name))
    .find(isExecutable)
}

/** A PATH for child processes, on which everything that `findProgram` finds is found by them too. */
export function programPath(): string {
  return programFolders().join(delimiter)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

// Debian keeps the servers of each major version apart; the newest comes first.
function postgresFolders(): string[] {
  const root = '/usr/lib/postgresql'
  try {
    return readdirSync(root)
      .toSorted((a, b) => Number(b) - Number(a))
      .map(version => join(root, version, 'bin'))
  } catch {
    return []
  }
}
