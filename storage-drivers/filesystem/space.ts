import { statfs } from 'node:fs/promises'
import { OutOfSpace } from '../driver.ts'

/** The room on a disk, shared out among all uploads that are written to it at a time. */
export interface Space {
  /**
   * Sets room aside for bytes that are about to be written.
   * @returns a function to be called when they are written, or will not be
   * @throws OutOfSpace
   */
  take(bytes: number): Promise<() => void>
}

const mebibyte = 1024 * 1024
/**
 * Room that uploads leave on the disk: a database on the same one must be able to go on. Postgres ends when it can't
 * begin another piece of its log, of 16 MiB, and does not start again until it can. So a twentieth of the disk, and at
 * least three pieces, but nowhere more than a fifth of it.
 */
const reserve = { share: 0.05, least: 48 * mebibyte, most: 512 * mebibyte, largestShare: 0.2 }
/** Bytes that may be written between two looks at the room left: the more, the more room there is. */
const lookEvery = { share: 1 / 32, least: 8 * mebibyte, most: 256 * mebibyte }

export function createSpace(folder: string): Space {
  /** What may still be taken without another look. */
  let budget = 0
  /** What was taken and is perhaps not written yet. */
  let taken = 0

  return {
    async take(bytes) {
      if (bytes > budget) {
        const free = await freeSpace(folder)
        const room = free - taken
        if (bytes > room) throw new OutOfSpace()
        budget = Math.max(bytes, Math.min(room, lookAfter(room)))
      }
      budget -= bytes
      taken += bytes
      return () => void (taken -= bytes)
    },
  }
}

function lookAfter(room: number): number {
  return Math.min(Math.max(room * lookEvery.share, lookEvery.least), lookEvery.most)
}

async function freeSpace(folder: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(folder)
  const disk = blocks * bsize
  const wanted = Math.min(Math.max(disk * reserve.share, reserve.least), reserve.most)
  return bavail * bsize - Math.min(wanted, disk * reserve.largestShare)
}
