/**
 * Bodies of any size that differ from each other in their last bytes alone: what they have in common is made and hashed
 * once, so that neither costs anything while something is measured.
 */
import { createHash, type Hash, randomBytes } from 'node:crypto'

export interface Content {
  digest: string
  /** Bytes. */
  size: number
  /** The bytes, in pieces of 1 MiB. */
  plain: () => Iterable<Buffer>
  /** The same framed for `Transfer-Encoding: chunked`, in chunks of 32 KiB as Go's clients send it. */
  chunked: () => Iterable<Buffer>
}

export const kibibyte = 2 ** 10
export const mebibyte = 2 ** 20
export const gibibyte = 2 ** 30

const chunkSize = 32 * kibibyte
const uniqueSize = 32
const lastChunk = Buffer.from('0\r\n\r\n')

const piece = randomBytes(mebibyte)
const framedPiece = frame(piece)
const commonHashes = new Map<number, Hash>()

/** A body that has not been there before. The first of a size above 1 MiB takes a while. */
export function createContent(size: number): Content {
  if (size < uniqueSize) throw new Error(`a body has at least ${uniqueSize} bytes`)
  const wholePieces = Math.ceil(size / mebibyte) - 1
  const lastSize = size - wholePieces * mebibyte
  const common = piece.subarray(0, Math.max(0, lastSize - uniqueSize))
  const unique = randomBytes(Math.min(uniqueSize, lastSize))
  const digest = `sha256:${commonHash(wholePieces, common).copy().update(unique).digest('hex')}`
  return {
    digest,
    size,
    *plain() {
      for (let at = 0; at < wholePieces; at++) yield piece
      yield Buffer.concat([common, unique])
    },
    *chunked() {
      for (let at = 0; at < wholePieces; at++) yield framedPiece
      yield Buffer.concat([frame(Buffer.concat([common, unique])), lastChunk])
    },
  }
}

function commonHash(wholePieces: number, common: Buffer): Hash {
  const key = wholePieces * mebibyte + common.length
  const known = commonHashes.get(key)
  if (known !== undefined) return known
  const hash = createHash('sha256')
  for (let at = 0; at < wholePieces; at++) hash.update(piece)
  hash.update(common)
  commonHashes.set(key, hash)
  return hash
}

function frame(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += chunkSize) {
    const chunk = bytes.subarray(at, at + chunkSize)
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}
