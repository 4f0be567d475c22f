import type { UploadState } from '../driver.ts'
import {
  folderOf,
  idOfState,
  largeKey,
  markerOf,
  partsOfName,
  segmentNames,
  segmentsOf,
  tailName,
  uploadOf,
  uploadsFolder,
} from './state.ts'
import type { ListedObject, SwiftStore } from './store.ts'

/**
 * Removes all that there is of an upload, but for the segments of one that is an object by now. It may be written or
 * committed meanwhile: then one of the two sees the other (`join` in session.ts).
 */
export async function dropUpload(store: SwiftStore, state: UploadState): Promise<void> {
  const id = idOfState(state)
  if (id === undefined) return
  const upload = uploadOf(state) ?? { id, segments: [] }
  const { tail } = upload
  await store.mark(markerOf(id))
  const names = new Set(tail === undefined ? [] : [tailName(id, tail)])
  const folders = [folderOf(id)]
  if ((await store.head(largeKey(id))) === undefined) {
    for (const name of segmentNames(upload)) names.add(name)
    folders.push(segmentsOf(id))
  }
  for (const folder of folders) for await (const { name } of store.list(folder)) names.add(name)
  names.delete(markerOf(id))
  await store.delete([...names])
  // Last: should this break off, it is found again.
  await store.delete([markerOf(id)])
}

/**
 * The uploads of which something is there, and of which nothing was written to since then: how much, and what all their
 * states have in common.
 */
export async function* findUploads(store: SwiftStore, before: Date): AsyncGenerator<UploadState> {
  let group: ListedObject[] = []
  for await (const object of store.list(uploadsFolder)) {
    const [first] = group
    if (first !== undefined && idOf(first) !== idOf(object)) {
      yield* stateOfGroup(store, group, before)
      group = []
    }
    group.push(object)
  }
  yield* stateOfGroup(store, group, before)
}

function idOf({ name }: ListedObject): string | undefined {
  return partsOfName(name)?.id
}

/** @param group all that the folder of one upload holds */
async function* stateOfGroup(
  store: SwiftStore,
  group: readonly ListedObject[],
  before: Date,
): AsyncGenerator<UploadState> {
  const id = group[0] && idOf(group[0])
  if (id === undefined || group.some(({ modified }) => modified >= before)) return
  /** By their numbers: an upload that went back to an older state may have several of one. */
  const segments = new Map<number, number>()
  if (group.some(({ name }) => name === markerOf(id))) {
    for await (const { name, size, modified } of store.list(segmentsOf(id))) {
      if (modified >= before) return
      const part = partsOfName(name)
      if (part?.kind === 'segment') segments.set(part.number, size)
    }
  }
  const tails = group.map(({ name }) => partsOfName(name)).filter(part => part?.kind === 'tail')
  const inSegments = segments.values().reduce((sum, size) => sum + size, 0)
  yield { offset: Math.max(inSegments, ...tails.map(part => part?.number ?? 0)), driver: { upload: id } }
}
