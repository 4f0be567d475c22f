import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
// Before ours, so that what it has started is killed before its files are taken away.
import './process.ts'

/** A new folder that is removed when this process ends, however it ends short of SIGKILL. Others may look into it. */
export function temporaryFolder(name: string): string {
  // In lower case: some clients take a folder's name for a repository's.
  const folder = join(tmpdir(), `berth-${name}-${randomUUID().slice(0, 8)}`)
  mkdirSync(folder, { mode: 0o755 })
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}
