import { execFile } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { needsRoot } from '../helpers/needs.ts'

const run = promisify(execFile)

/**
 * A file system of its own, in memory, until the test ends: the only honest way to a full disk. Where mounting is not
 * allowed the test is skipped with one line, and has to return.
 * @param options as mount takes them: `size=4m`
 */
export async function mountTmpfs(t: Test, options: string): Promise<string | undefined> {
  if (!needsRoot(t)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'berth-full-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  } catch {
    await rmdir(folder)
    t.plan(0, 'needs the right to mount a tmpfs')
    return undefined
  }
  t.teardown(async () => {
    // Lazily: what a failed test left open must not keep the folder.
    await run('umount', ['--lazy', folder])
    await rmdir(folder)
  })
  return folder
}
