import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
// Before ours, so that what it has started is killed before its files are taken away.
import './process.ts'

/** A new folder that is removed when this process ends, however it ends short of SIGKILL. Others may look into it. */
export function temporaryFolder(name: string): string {
  // In lower case: some clients take a folder's name for a repository's.
  const folder = join(tmpdir(), `berth-${name}-${randomUUID().slice(0, 8)}`)
  mkdirSync(folder, { mode: 0o755 })
  process.on('exit', () => remove(folder))
  return folder
}

// What was killed may write on for a moment, and only waiting that blocks is possible at the end of a process.
function remove(folder: string): void {
  for (let tries = 0; tries < 20 && existsSync(folder); tries++) {
    if (tries > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    spawnSync('rm', ['-rf', '--one-file-system', folder])
  }
}
