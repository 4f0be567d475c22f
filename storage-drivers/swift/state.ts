import { randomBytes } from 'node:crypto'
import type { UploadState } from '../driver.ts'

/** What the Swift driver remembers of an upload. */
export interface SwiftUpload {
  /** A UUID. */
  id: string
  /** Those that are stored, in their order. */
  segments: readonly Segment[]
  /** The bytes behind them, where the state was saved with too few for a segment. */
  tail?: Tail
}

export interface Segment {
  /** The session that wrote it. */
  run: string
  etag: string
  size: number
}

/** An object of the upload's folder with its last bytes. */
export interface Tail {
  run: string
  size: number
  /** Of the upload, with these bytes. */
  offset: number
}

const idShape = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const runShape = /^[0-9a-z]{17}$/

/** A name for a session, which sorts behind those of earlier ones. */
export function newRun(): string {
  return Date.now().toString(36).padStart(9, '0') + randomBytes(4).toString('hex')
}

/** Where an object of one piece is put. */
export function plainKey(id: string): string {
  return `blobs/${id.slice(0, 2)}/${id}`
}

/** Where the manifest of an object of segments stands. */
export function largeKey(id: string): string {
  return `${largeFolder}${id.slice(0, 2)}/${id}`
}

/** The upload that became an object of segments; undefined for other keys. */
export function idOfLarge(key: string): string | undefined {
  const id = key.slice(key.lastIndexOf('/') + 1)
  return idShape.test(id) && key === largeKey(id) ? id : undefined
}

export const largeFolder = 'slo/'
export const uploadsFolder = 'uploads/'
export const segmentsFolder = 'segments/'

/** The folder of what there is of an upload beside its segments. */
export function folderOf(id: string): string {
  return `${uploadsFolder}${id}/`
}

/** An empty object that stands there as long as segments of the upload may, and the upload is no object yet. */
export function markerOf(id: string): string {
  return `${folderOf(id)}open`
}

export function tailName(id: string, { run, offset }: Tail): string {
  return `${folderOf(id)}${offset}-${run}`
}

export function segmentsOf(id: string): string {
  return `${segmentsFolder}${id}/`
}

/** @param number counted from 1 */
export function segmentName(id: string, number: number, run: string): string {
  return `${segmentsOf(id)}${String(number).padStart(7, '0')}-${run}`
}

/** A manifest that an object's own manifest names, where that can't name all segments. */
export function innerManifestName(id: string, number: number, run: string): string {
  return `${segmentsOf(id)}m${String(number).padStart(6, '0')}-${run}`
}

export function segmentNames({ id, segments }: SwiftUpload): string[] {
  return segments.map(({ run }, index) => segmentName(id, index + 1, run))
}

/** What a name below the folders of uploads and of segments tells; undefined for others. */
export function partsOfName(
  name: string,
): { id: string; kind: 'marker' | 'tail' | 'segment' | 'manifest'; number: number; run: string } | undefined {
  const [, folder, id = '', rest = ''] = /^(uploads|segments)\/([^/]*)\/(.*)$/.exec(name) ?? []
  if (!idShape.test(id)) return undefined
  if (folder === 'uploads' && rest === 'open') return { id, kind: 'marker', number: 0, run: '' }
  const [, inner, digits, run = ''] = /^(m?)(\d+)-(.*)$/.exec(rest) ?? []
  if (digits === undefined || !runShape.test(run)) return undefined
  const kind = folder === 'uploads' ? 'tail' : inner === 'm' ? 'manifest' : 'segment'
  return { id, kind, number: Number(digits), run }
}

export function stateOf({ id, segments, tail }: SwiftUpload): UploadState {
  return {
    offset: lengthOf(segments) + (tail?.size ?? 0),
    driver: {
      upload: id,
      segments: segments.map(({ run, etag, size }) => [run, etag, size]),
      ...(tail === undefined ? {} : { tail: [tail.run, tail.size] }),
    },
  }
}

/** The upload of a state; undefined for one of another driver. */
export function idOfState({ driver: { upload: id } }: UploadState): string | undefined {
  return typeof id === 'string' && idShape.test(id) ? id : undefined
}

/** @returns undefined for a state of another driver, or one that contradicts itself */
export function uploadOf(state: UploadState): SwiftUpload | undefined {
  const id = idOfState(state)
  const { offset } = state
  const { segments: list, tail: last } = state.driver
  if (id === undefined || !Array.isArray(list)) return undefined
  const segments = list.flatMap((one: unknown) => segmentOf(one) ?? [])
  const tail = last === undefined ? undefined : tailOf(last, offset)
  const whole = segments.length === list.length && (last === undefined || tail !== undefined)
  if (!whole || lengthOf(segments) + (tail?.size ?? 0) !== offset) return undefined
  return { id, segments, ...(tail === undefined ? {} : { tail }) }
}

function segmentOf(value: unknown): Segment | undefined {
  if (!Array.isArray(value)) return undefined
  const [run, etag, size]: unknown[] = value
  if (typeof run !== 'string' || !runShape.test(run) || typeof etag !== 'string' || !isSize(size)) return undefined
  return { run, etag, size }
}

function tailOf(value: unknown, offset: number): Tail | undefined {
  if (!Array.isArray(value)) return undefined
  const [run, size]: unknown[] = value
  return typeof run === 'string' && runShape.test(run) && isSize(size) ? { run, size, offset } : undefined
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0
}

export function lengthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0)
}
