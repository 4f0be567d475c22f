import { createHash, type Hash } from 'node:crypto'
import { readSync, writevSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { piecesOf } from './body.ts'
import type { Order, Reply } from './hash-orders.ts'

/** A thread that hashes and writes: see hash-threads.ts, which starts it and gives it its orders. */

/** Pieces that one writev takes (IOV_MAX). */
const mostPieces = 1024
const readSize = 256 * 1024

/**
 * Behind the thread that serves requests, which does little for each of them and is waited for by all. On Linux this is of
 * the thread; elsewhere it would be of the whole process.
 */
const niceness = 5
if (process.platform === 'linux') setPriority(niceness)

const hashes = new Map<number, Hash>()

function hashOf(id: number): Hash {
  const hash = hashes.get(id)
  if (hash === undefined) throw new Error('this hash is not known to its thread')
  return hash
}

function obey(order: Order): string | undefined {
  switch (order.kind) {
    case 'begin': {
      const hash = createHash(order.algorithm)
      if (order.file !== undefined) readInto(hash, order.file)
      hashes.set(order.id, hash)
      return undefined
    }
    case 'update': {
      const hash = hashOf(order.id)
      const views = piecesOf(order)
      for (const view of views) hash.update(view)
      // After the hash: by now the bytes are in this core's cache.
      if (order.file !== undefined) writeAll(order.file.fd, views, order.file.position)
      return undefined
    }
    case 'copy':
      hashes.set(order.to, hashOf(order.id).copy())
      return undefined
    case 'digest':
      return hashOf(order.id).copy().digest('hex')
    case 'drop':
      hashes.delete(order.id)
      return undefined
    default:
      return order satisfies never
  }
}

/** Writes every byte: one call may write less than it was given. */
function writeAll(fd: number, views: Uint8Array[], position: number): void {
  let left = views
  while (left.length > 0) {
    let written = writevSync(fd, left.slice(0, mostPieces), position)
    position += written
    let whole = 0
    for (; written >= (left[whole]?.length ?? Infinity); whole++) written -= left[whole]?.length ?? 0
    left = left.slice(whole)
    if (written > 0) left[0] = left[0]?.subarray(written) ?? new Uint8Array()
  }
}

function readInto(hash: Hash, { fd, length }: { fd: number; length: number }): void {
  const buffer = Buffer.allocUnsafe(Math.min(readSize, length))
  for (let position = 0; position < length;) {
    const read = readSync(fd, buffer, 0, Math.min(buffer.length, length - position), position)
    if (read === 0) throw new Error('the file of an upload is shorter than the upload')
    hash.update(buffer.subarray(0, read))
    position += read
  }
}

function answer(reply: Reply): void {
  parentPort?.postMessage(reply)
}

parentPort?.on('message', (order: Order) => {
  try {
    const hex = obey(order)
    if ('job' in order) answer({ job: order.job, hex })
  } catch (error) {
    if (!('job' in order)) return
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
    answer({ job: order.job, error: { message: String(error), code } })
  }
})
