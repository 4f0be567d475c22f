import type { UploadState } from '../driver.ts'

/** What the Azure driver remembers of an upload. */
export interface AzureUpload {
  id: string
  /** Those that are stored, in their order. */
  blocks: readonly Block[]
}

export interface Block {
  /**
   * Tells the session that wrote it and its place there. All ids have one length, as Azure wants it of the blocks of an
   * object, and none is used twice: who goes on from an older state must not overwrite a block.
   */
  id: string
  size: number
}

const uploadShape = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const blockShape = /^[\w-]{8}\d{5}$/

/** The key of an upload's object: chosen when the upload begins, so that nothing is ever copied. */
export function ownKey(id: string): string {
  return `blobs/${id.slice(0, 2)}/${id}`
}

/** The folder of the marks. */
export const marks = 'uploads/'

/** An empty object that stands while an upload has blocks and is not committed: blocks alone can't be listed or dated. */
export function markOf(id: string): string {
  return marks + id
}

/** @returns the upload whose mark has this name */
export function uploadOfMark(name: string): string | undefined {
  const id = name.slice(marks.length)
  return name.startsWith(marks) && uploadShape.test(id) ? id : undefined
}

/** The id of a session's block: the session's name has eight characters. */
export function blockId(session: string, number: number): string {
  return session + String(number).padStart(5, '0')
}

export function stateOf({ id, blocks }: AzureUpload): UploadState {
  return { offset: lengthOf(blocks), driver: { id, blocks: blocks.map(({ id, size }) => [id, size]) } }
}

/** The id in a state, which may be all that it has; undefined for a state of another driver. */
export function idOf({ driver: { id } }: UploadState): string | undefined {
  return typeof id === 'string' && uploadShape.test(id) ? id : undefined
}

/** @returns undefined for a state of another driver, or one that contradicts itself */
export function uploadOf(state: UploadState): AzureUpload | undefined {
  const id = idOf(state)
  const { blocks: list } = state.driver
  if (id === undefined || !Array.isArray(list)) return undefined
  const blocks = list.map(blockOf).filter(block => block !== undefined)
  return blocks.length === list.length && lengthOf(blocks) === state.offset ? { id, blocks } : undefined
}

function blockOf(value: unknown): Block | undefined {
  if (!Array.isArray(value)) return undefined
  const [id, size]: unknown[] = value
  return typeof id === 'string' && blockShape.test(id) && typeof size === 'number' ? { id, size } : undefined
}

export function lengthOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { size }) => sum + size, 0)
}
