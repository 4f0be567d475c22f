/** Bytes of a request's body in one buffer of the pool. */
export interface Filled {
  /** Other threads see it too. */
  readonly buffer: Uint8Array<SharedArrayBuffer>
  /** Where the payload lies in the buffer: offset, length, offset, length, ... What is between is the coding's. */
  readonly pieces: readonly number[]
  /** Bytes of payload. */
  readonly length: number
  /** Whether the body ended with it, as far as was known when it was handed over. */
  readonly last: boolean
  /** Gives the buffer back; to be called once, when nothing looks into it any more. */
  release(): void
}

/** A request's body on its way in. */
export interface Body {
  /** The next bytes, undefined when there are no more. One call at a time. @throws BodyBroken */
  next(): Promise<Filled | undefined>
  /**
   * Gives back what was not handed over yet; nothing more is read. To be called in the end, however it came. What was
   * handed over stays its owner's.
   */
  stop(): void
}

/** A body that ended before its end: its client went away, fell silent, or does not keep to the coding. */
export class BodyBroken extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'BodyBroken'
  }
}

/** The payload as views. */
export function piecesOf({ buffer, pieces }: Pick<Filled, 'buffer' | 'pieces'>): Uint8Array[] {
  const views: Uint8Array[] = []
  for (let index = 0; index < pieces.length; index += 2) {
    const start = pieces[index] ?? 0
    views.push(buffer.subarray(start, start + (pieces[index + 1] ?? 0)))
  }
  return views
}
