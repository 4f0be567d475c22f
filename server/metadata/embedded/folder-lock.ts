import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { cleanEnvironment, runToEnd } from './command.ts'
import { codeOf, DataFolderInUse } from './errors.ts'
import { notOurs, type Place } from './place.ts'
import { isAlive } from './processes.ts'

/**
 * The lock file: held from the first look at the folder to the end of the process, so that whoever has it may sweep
 * the folder and stop a Postgres that an earlier Berth left there. The kernel drops it with the process, and it also
 * works between containers that share a volume and see neither each other's processes nor sockets.
 *
 * Node can't lock files. But a lock belongs to the open file, not to the process that asked for it: flock of
 * util-linux locks the file that Berth opened, ends, and the lock stays.
 */
export interface FolderLock {
  /** False where this system has no flock: then only the lock inside Postgres keeps two Berths apart. */
  readonly exclusive: boolean
  release(): void
}

const pollEveryMs = 50
/** For how long a child of a Berth that was killed may have the lock: one that was just being started. */
const heirPatienceMs = 2_000

/** @throws DataFolderInUse when another process has it */
export async function lockFolder({ folder, lock }: Place, flock: string): Promise<FolderLock> {
  const file = openLockFile(folder, lock)
  try {
    const until = performance.now() + heirPatienceMs
    let exclusive = await tryFlock(flock, file)
    while (exclusive === false) {
      const holder = holderIn(lock)
      if ((holder !== undefined && (await isAlive(holder))) || performance.now() > until) {
        throw new DataFolderInUse(folder, holder)
      }
      await sleep(pollEveryMs)
      exclusive = await tryFlock(flock, file)
    }
    if (exclusive) {
      ftruncateSync(file)
      writeSync(file, `${process.pid}\n`, 0)
    }
    let released = false
    return {
      exclusive: exclusive ?? false,
      release() {
        if (!released) closeSync(file)
        released = true
      },
    }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** True: got it; false: someone else has it; undefined: files can't be locked here. */
async function tryFlock(flock: string, file: number): Promise<boolean | undefined> {
  try {
    const command = { file: flock, args: ['-n', '3'], options: { env: cleanEnvironment } }
    const { code } = await runToEnd(command, { inherit: file })
    return code === 0 ? true : code === 1 ? false : undefined
  } catch {
    return undefined
  }
}

function openLockFile(folder: string, lock: string): number {
  try {
    return openSync(lock, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  } catch (error) {
    throw ['EACCES', 'EPERM'].includes(codeOf(error)) ? notOurs(lock, folder, error) : error
  }
}

function holderIn(lock: string): number | undefined {
  return Number.parseInt(readFileSync(lock, 'utf8'), 10) || undefined
}
