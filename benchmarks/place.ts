import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Load } from './loads/load.ts'

/** Where the servers of a load keep their data, and on what kind of file system. */
export interface Place {
  folder: string
  filesystem: string
}

const memoryFolder = '/dev/shm'
/** So much must be free for what the largest load writes, bytes. */
const roomNeeded = 12 * 2 ** 30
const tmpfsMagic = 0x01021994

/** The folders of a run, made below `parent` or else where each kind of load belongs; they go with this process. */
export async function choosePlaces(parent: string | undefined): Promise<Record<Load['place'], Place>> {
  if (parent !== undefined) {
    const given = await makePlace(parent)
    return { memory: given, disk: given }
  }
  const disk = await makePlace(tmpdir())
  return { memory: (await hasRoom(memoryFolder)) ? await makePlace(memoryFolder) : disk, disk }
}

async function hasRoom(folder: string): Promise<boolean> {
  const { bavail, bsize, type } = await statfs(folder).catch(() => ({ bavail: 0, bsize: 0, type: 0 }))
  return type === tmpfsMagic && bavail * bsize > roomNeeded
}

async function makePlace(parent: string): Promise<Place> {
  const folder = mkdtempSync(join(parent, 'berth-bench-'))
  // Berth's Postgres runs as another user where Berth is root.
  chmodSync(folder, 0o755)
  process.on('exit', () => remove(folder))
  const { stdout } = spawnSync('df', ['--output=fstype', folder], { encoding: 'utf8' })
  return { folder, filesystem: stdout.trim().split('\n').at(-1) ?? 'unknown' }
}

// What was killed may write on for a moment, and only waiting that blocks is possible at the end of a process.
function remove(folder: string): void {
  for (let tries = 0; tries < 20 && existsSync(folder); tries++) {
    if (tries > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    spawnSync('rm', ['-rf', '--one-file-system', folder])
  }
}
