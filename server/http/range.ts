/** Inclusive at both ends. */
export interface Range {
  first: number
  last: number
}

/** More ranges in one request than any client has a use for. */
const mostRanges = 64

/**
 * Reads a `Range` header (RFC 9110 section 14) for a representation of `size` bytes.
 * @returns the ranges that can be given, in the order asked for; 'unsatisfiable' (416); undefined when the header is to
 *   be ignored (another unit, not to be understood, too many ranges or more bytes than the whole)
 */
export function parseRange(header: string | undefined, size: number): Range[] | 'unsatisfiable' | undefined {
  const specs = /^bytes=(.*)$/i.exec(header?.trim() ?? '')?.[1]?.split(',')
  // Clients that always send one get the whole of nothing, as from Go's servers, rather than an error.
  if (specs === undefined || specs.length > mostRanges || size === 0) return undefined
  const ranges: Range[] = []
  for (const spec of specs) {
    const match = /^\s*(\d*)-(\d*)\s*$/.exec(spec)
    if (match === null || (match[1] === '' && match[2] === '')) return undefined
    const range = resolve(match[1] ?? '', match[2] ?? '', size)
    if (range !== undefined) ranges.push(range)
  }
  if (ranges.length === 0) return 'unsatisfiable'
  const bytes = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  return bytes > size ? undefined : ranges
}

/** One range within the size, or undefined when nothing of it is there. `500-0` is answered like one of those: the
 * conformance program wants 416 for it. */
function resolve(firstText: string, lastText: string, size: number): Range | undefined {
  const last = lastText === '' ? size - 1 : Math.min(Number(lastText), size - 1)
  if (firstText === '') {
    const suffix = Number(lastText)
    return suffix === 0 ? undefined : { first: Math.max(size - suffix, 0), last: size - 1 }
  }
  const first = Number(firstText)
  return first >= size || first > last ? undefined : { first, last }
}
