import type { Http } from './http.ts'
import { at, listAt, numberAt, parse, textAt } from './json.ts'
import { repeating, inHaste } from './retries.ts'

/** What a Swift can do and where its limits are, as its /info tells. */
export interface SwiftInfo {
  /** Entries of the manifest of a static large object; undefined where there are no such objects. */
  segments: number | undefined
  /** Bytes of such a manifest. */
  manifestBytes: number
  /** Bytes of a segment that is not the last one of its object. */
  leastSegment: number
  /** Bytes of an object that is put, so also of a segment. */
  mostBytes: number
  /**
   * Whether it is OpenStack's own: there a manifest may name other manifests, and an object is deleted with what its
   * manifest names. radosgw reads a manifest of manifests as if they were the bytes, and may delete a manifest without
   * its segments.
   */
  genuine: boolean
  /** Objects that one request deletes; 0 where there are no such requests. */
  deletes: number
  /** The methods that temporary URLs can be made for, and the sums that sign them. */
  tempUrl: { methods: readonly string[]; digests: readonly string[] }
}

/** A server that has no /info, or shows it to nobody: the standards, and nothing that can be done without. */
const standards: SwiftInfo = {
  segments: 1000,
  manifestBytes: 2 * 1024 * 1024,
  leastSegment: 1,
  mostBytes: 5 * 1024 * 1024 * 1024,
  genuine: false,
  deletes: 0,
  tempUrl: { methods: [], digests: [] },
}

/** @throws what keeps the server from answering at all */
export async function readInfo(http: Http, storageUrl: string): Promise<SwiftInfo> {
  // Swift: /v1/AUTH_x and /info; radosgw: /swift/v1 or /swift/v1/AUTH_x, and /swift/info.
  const url = storageUrl.replace(/(https?:\/\/[^/]+.*?)\/v1(\.\d+)?(\/[^/]*)?$/, '$1/info')
  if (url === storageUrl) return standards
  const answer = await repeating(
    () => http.send({ method: 'GET', url, answerMs: inHaste.answerMs }),
    inHaste.patienceMs,
  )
  const text = await answer.text()
  const found = answer.status === 200 ? parse(text) : undefined
  return at(found, 'swift') === undefined ? standards : infoOf(found)
}

function infoOf(found: unknown): SwiftInfo {
  const slo = at(found, 'slo')
  const texts = (...path: string[]) => listAt(found, ...path).flatMap((_, index) => textAt(found, ...path, index) ?? [])
  return {
    segments: slo === undefined ? undefined : (numberAt(slo, 'max_manifest_segments') ?? standards.segments),
    manifestBytes: numberAt(slo, 'max_manifest_size') ?? standards.manifestBytes,
    leastSegment: numberAt(slo, 'min_segment_size') ?? standards.leastSegment,
    mostBytes: numberAt(found, 'swift', 'max_file_size') ?? standards.mostBytes,
    // radosgw tells nothing of its manifests but how many segments they have.
    genuine: numberAt(slo, 'min_segment_size') !== undefined,
    deletes:
      at(found, 'bulk_delete') === undefined ? 0 : (numberAt(found, 'bulk_delete', 'max_deletes_per_request') ?? 1000),
    tempUrl: { methods: texts('tempurl', 'methods'), digests: texts('tempurl', 'allowed_digests') },
  }
}
