import type { UploadState } from '../driver.ts'

/** What the S3 driver remembers of an upload. */
export interface S3Upload {
  id: string
  /** Where the object will stand: chosen when the upload begins, so that nothing is ever copied. */
  key: string
  /** The id of the multipart upload to that key; none before there are enough bytes for a part. */
  multipart: string | undefined
  /** Parts that are stored, in their order. */
  parts: readonly StoredPart[]
  /** Bytes behind them, too few for a part: they stand in an object of their own, the last of `tails`. */
  tail: number
  /** The names of all tails that were saved (tailOf): a commit removes them without a list. */
  tails: readonly string[]
}

export interface StoredPart {
  etag: string
  size: number
}

const idShape = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Of an upload's own, or of a digest. */
const keyShape = /^blobs(?:\/[0-9a-z]+){1,2}\/[0-9a-f-]{32,128}$/

/** The key that no other upload has. */
export function ownKey(id: string): string {
  return `blobs/${id.slice(0, 2)}/${id}`
}

/**
 * The object with the last bytes of an upload of so many. Each save has its own, for an older state counts too, and each
 * session: of two that write to one upload neither may change what the other has saved.
 */
export function tailOf(id: string, offset: number, run: string): string {
  return `${folderOf(id)}${offset}-${run}`
}

const tailShape = /^uploads\/([0-9a-f-]{36})\/(\d+)-[0-9a-f]+$/

/** What the name of a tail tells. */
export function partsOfTail(name: string): { id: string; offset: number } | undefined {
  const [, id, offset] = tailShape.exec(name) ?? []
  return id === undefined ? undefined : { id, offset: Number(offset) }
}

/** The folder of what is kept of an upload beside its parts. */
export function folderOf(id: string): string {
  return `uploads/${id}/`
}

export function stateOf({ id, key, multipart, parts, tail, tails }: S3Upload): UploadState {
  return {
    offset: lengthOf(parts) + tail,
    driver: {
      id,
      key,
      ...(multipart === undefined ? {} : { multipart }),
      parts: parts.map(({ etag, size }) => [etag, size]),
      ...(tail === 0 ? {} : { tail }),
      ...(tails.length === 0 ? {} : { tails }),
    },
  }
}

/** What there may be of an upload in the store: as much of it as a state tells, which may be an abandoned one's. */
export interface Traces {
  id: string | undefined
  key: string | undefined
  multipart: string | undefined
}

export function tracesOf({ driver: { id, key, multipart } }: UploadState): Traces {
  return { id: matching(id, idShape), key: matching(key, keyShape), multipart: matching(multipart, /./) }
}

function matching(value: unknown, shape: RegExp): string | undefined {
  return typeof value === 'string' && shape.test(value) ? value : undefined
}

/** @returns undefined for a state of another driver, or one that contradicts itself */
export function uploadOf(state: UploadState): S3Upload | undefined {
  const { id, key, multipart } = tracesOf(state)
  const { parts: list, tail = 0, tails: saved = [] } = state.driver
  if (id === undefined || key === undefined || typeof tail !== 'number') return undefined
  if (!Array.isArray(list) || !Array.isArray(saved)) return undefined
  const parts = list.map(partOf).filter(part => part !== undefined)
  const whole = parts.length === list.length && lengthOf(parts) + tail === state.offset
  if (!whole || (parts.length > 0 && multipart === undefined)) return undefined
  const tails = saved.filter(name => typeof name === 'string' && partsOfTail(name)?.id === id)
  return tail > 0 && tails.length === 0 ? undefined : { id, key, multipart, parts, tail, tails }
}

export function lengthOf(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0)
}

function partOf(value: unknown): StoredPart | undefined {
  if (!Array.isArray(value)) return undefined
  const [etag, size]: unknown[] = value
  return typeof etag === 'string' && typeof size === 'number' ? { etag, size } : undefined
}
