import type { Random } from '../../faults/random.ts'

/** What clients of the fuzz test send: requests of all kinds, and the pieces in which they are written. */

/** All bodies are slices of it. */
export interface Source {
  bytes: Buffer
}

/** What the server does with the body of a request. */
export const manners = ['fast', 'late', 'slow', 'delayed', 'refuse', 'middle'] as const
export type Manner = (typeof manners)[number]

export interface PlannedRequest {
  /** As it goes over the wire. */
  wire: Buffer
  manner: Manner
  offset: number
  /** Bytes of payload. */
  length: number
}

export interface PlannedConnection {
  requests: PlannedRequest[]
  /** Whether each request waits for the answer to the one before. */
  waits: boolean
  /** How it ends: after all answers, by a FIN right behind the last byte, or in the middle of the last request. */
  ending: 'answers' | 'half-close' | 'reset in the middle' | 'FIN in the middle'
  /** Bytes of the last request that are sent, when it ends in its middle. */
  sent: number
}

export function planConnection(random: Random, source: Source, most: number): PlannedConnection {
  const count = Math.min(most, random.whole(1, 24))
  const requests = Array.from({ length: count }, () => planRequest(random, source))
  const last = requests.at(-1)?.wire.length ?? 0
  const ending = random.chance(0.3)
    ? random.pick(['reset in the middle', 'FIN in the middle'] as const)
    : random.chance(0.2)
      ? 'half-close'
      : 'answers'
  return { requests, waits: random.chance(0.6), ending, sent: random.whole(0, last - 1) }
}

function planRequest(random: Random, { bytes }: Source): PlannedRequest {
  const length = planLength(random)
  const offset = random.whole(0, bytes.length - length)
  const manner = random.chance(0.6) ? 'fast' : random.pick(manners)
  const bodyless = length === 0 && random.chance(0.5)
  const path = `/${manner}/${offset}/${length}`
  const ordinary = random.chance(0.1) ? 'X-Way: ordinary\r\n' : ''
  if (bodyless) return { wire: Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`), manner, offset, length }
  const head = `PUT ${path} HTTP/1.1\r\nHost: a\r\n${ordinary}`
  const payload = bytes.subarray(offset, offset + length)
  const wire = random.chance(0.5)
    ? Buffer.concat([Buffer.from(`${head}Content-Length: ${length}\r\n\r\n`), payload])
    : Buffer.concat([Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`), ...chunksOf(random, payload)])
  return { wire, manner, offset, length }
}

function planLength(random: Random): number {
  const kind = random.next()
  if (kind < 0.7) return random.whole(0, 200)
  if (kind < 0.97) return random.whole(0, 8 * 1024)
  if (kind < 0.9985) return random.whole(0, 200 * 1024)
  return random.whole(0, 2 * 1024 * 1024)
}

function chunksOf(random: Random, payload: Buffer): Buffer[] {
  const parts: Buffer[] = []
  const largest = random.pick([1, 40, 5000, 70_000, 3_000_000])
  for (let at = 0; at < payload.length;) {
    // Of a large body not too many tiny ones.
    const size = Math.min(payload.length - at, parts.length > 600 ? Infinity : random.whole(1, largest))
    parts.push(Buffer.from(`${sizeOf(random, size)}\r\n`), payload.subarray(at, at + size), Buffer.from('\r\n'))
    at += size
  }
  const trailers = random.chance(0.1) ? 'X-Sum: 0\r\nX-Other: "a; b"\r\n' : ''
  parts.push(Buffer.from(`${sizeOf(random, 0)}\r\n${trailers}\r\n`))
  return parts
}

function sizeOf(random: Random, size: number): string {
  const hex = size.toString(16)
  const text = `${random.chance(0.1) ? '000' : ''}${random.chance(0.3) ? hex.toUpperCase() : hex}`
  return random.chance(0.1) ? `${text};name=value;other="quoted text"` : text
}

/** Cuts what is written into pieces. */
export function segmentsOf(random: Random, bytes: Buffer): Buffer[] {
  const style = random.next()
  if (style < 0.5) return [bytes]
  const most = style < 0.65 ? 40 : style < 0.85 ? 1500 : 70_000
  const segments: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const size = segments.length > 30 ? bytes.length - at : random.whole(1, most)
    segments.push(bytes.subarray(at, at + size))
    at += size
  }
  return segments
}
