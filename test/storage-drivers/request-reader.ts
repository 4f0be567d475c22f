/** A part of what a client sends. */
export interface RequestPiece {
  bytes: Buffer
  /** Where it is a request's head: its text. A piece is a head or some of a body, never both. */
  head: string | undefined
  /** Whether the request ends with it. */
  last: boolean
}

/**
 * Tells the requests of one connection (HTTP/1.1) apart: gives a function that takes the bytes as they come, and gives
 * all of them back in pieces. Behind a request that does not say how long it is, everything is taken for its body.
 */
export function createRequestReader(): (chunk: Buffer) => Iterable<RequestPiece> {
  let begun = Buffer.alloc(0)
  /** Bytes of the body that are to come. */
  let left = 0

  return function* (chunk) {
    for (let rest = chunk; rest.length > 0;) {
      if (left > 0) {
        const bytes = rest.subarray(0, left)
        left -= bytes.length
        rest = rest.subarray(bytes.length)
        yield { bytes, head: undefined, last: left === 0 }
        continue
      }
      begun = Buffer.concat([begun, rest])
      const end = begun.indexOf('\r\n\r\n') + 4
      if (end < 4) return
      const bytes = begun.subarray(0, end)
      rest = begun.subarray(end)
      begun = Buffer.alloc(0)
      const head = bytes.toString('latin1')
      left = bodyLength(head)
      yield { bytes, head, last: left === 0 }
    }
  }
}

function bodyLength(head: string): number {
  if (/^transfer-encoding:/im.test(head)) return Infinity
  return Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
}
