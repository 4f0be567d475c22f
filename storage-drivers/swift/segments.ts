import pLimit from 'p-limit'
import type { SwiftInfo } from './info.ts'
import type { ManifestEntry, SwiftStore } from './store.ts'
import { idOfLarge, innerManifestName, largeKey, segmentNames, segmentsOf, type SwiftUpload } from './state.ts'

/** How large segments are, so that manifests can name them all. */
export interface SegmentSizes {
  /** Bytes of an ordinary segment. */
  readonly chunkSize: number
  /** Segments of an object, at most. */
  readonly most: number
  /** Bytes of the segment of this number, counted from 1. */
  sizeOf(this: void, number: number): number
  /** So many bytes are a segment when an upload is saved; fewer are an object beside the segments. */
  leastOf(this: void, number: number): number
}

/** Bytes of a manifest's entry beside the names: its ETag, its size and what holds them together. */
const entryBytes = 120
/** Of an upload that is saved again and again, each segment has at least one part in so many of its size. */
const leastPart = 4
/** Where manifests can't name manifests, segments double so often on the way to the most that one can name. */
const doublings = 10
/** Large objects that are deleted at a time. */
const deletions = 4

/**
 * With manifests of manifests as many as anyone needs; without, those of a manifest are all there are, and they grow:
 * 1000 of them that begin with 20 MiB and end with 5 GiB have room for 1.5 TiB.
 * @param nameBytes of a segment's whole name, at most
 */
export function createSegmentSizes(chunkSize: number, info: SwiftInfo, nameBytes: number): SegmentSizes {
  const first = Math.min(Math.max(chunkSize, info.leastSegment), info.mostBytes)
  const perManifest = segmentsOfManifest(info, nameBytes)
  const sizeOf = info.genuine
    ? () => first
    : (number: number) => Math.min(first * 2 ** Math.floor(((number - 1) * doublings) / perManifest), info.mostBytes)
  return {
    chunkSize: first,
    most: info.genuine ? perManifest ** 2 : perManifest,
    sizeOf,
    leastOf: number => Math.max(info.leastSegment, Math.ceil(sizeOf(number) / leastPart)),
  }
}

export function segmentsOfManifest({ segments = 0, manifestBytes }: SwiftInfo, nameBytes: number): number {
  return Math.max(1, Math.min(segments, Math.floor(manifestBytes / (nameBytes + entryBytes))))
}

/**
 * Makes the object of an upload's segments: by one manifest, or by one of manifests.
 * @returns its key. @throws UnwantedAnswer where segments are gone
 */
export async function joinSegments(
  store: SwiftStore,
  { upload, run, perManifest }: { upload: SwiftUpload; run: string; perManifest: number },
): Promise<string> {
  const names = segmentNames(upload)
  const entries = upload.segments.map(({ etag, size }, index): ManifestEntry => ({
    name: names[index] ?? '',
    etag,
    size,
  }))
  const key = largeKey(upload.id)
  await store.join(key, entries.length <= perManifest ? entries : await joinInner(entries))
  return key

  async function joinInner(all: readonly ManifestEntry[]): Promise<ManifestEntry[]> {
    const outer: ManifestEntry[] = []
    for (let from = 0; from < all.length; from += perManifest) {
      const inner = all.slice(from, from + perManifest)
      const name = innerManifestName(upload.id, outer.length + 1, run)
      await store.join(name, inner)
      outer.push({ name, size: inner.reduce((sum, { size }) => sum + size, 0) })
    }
    return outer
  }
}

/**
 * Removes objects of segments, with these. Were some left behind by an upload that went back to an older state, they go
 * too.
 */
export async function deleteLarge(store: SwiftStore, keys: readonly string[], { genuine }: SwiftInfo): Promise<void> {
  const own = pLimit(deletions)
  await own.map(keys, async key => {
    if (genuine) await store.deleteWithManifest(key)
    const id = idOfLarge(key)
    const left: string[] = []
    if (id !== undefined) for await (const { name } of store.list(segmentsOf(id))) left.push(name)
    await store.delete(left)
    // Last: should this break off, it can be done again.
    await store.delete([key])
  })
}
