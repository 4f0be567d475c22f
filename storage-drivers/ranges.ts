import { Readable } from 'node:stream'
import type { ByteRange } from './driver.ts'

/** Times in a row that a read which brings no byte is begun again. */
const mostInVain = 4

/**
 * A stream of exactly a range of an object that never changes, from sources that may break off: it goes on with another
 * one where the last one ended. It fails when several in a row bring nothing; destroying it destroys the source.
 * @param open a stream of the range, or of its beginning
 * @param first the first source, where it is open already
 */
export function readRange(
  { first, last }: ByteRange,
  open: (range: ByteRange) => Promise<Readable>,
  source?: Readable,
): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    let position = first
    let failure: Error | undefined
    for (let inVain = 0; position <= last; inVain++) {
      if (inVain > mostInVain) throw failure ?? new Error(`an object ends at byte ${position}, and not behind ${last}`)
      const stream = source ?? (await open({ first: position, last }))
      source = undefined
      try {
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          if (chunk.length > last - position + 1)
            throw new Error('the store sent more of an object than it was asked for')
          position += chunk.length
          inVain = 0
          yield chunk
        }
        failure = undefined
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error))
      } finally {
        stream.destroy()
      }
    }
  }
  const result = Readable.from(pieces(), { objectMode: false })
  // One that breaks before it is read is found out when it is.
  source?.on('error', () => {})
  // Whoever never reads it never starts the generator, which would let go of the source.
  result.once('close', () => source?.destroy())
  return result
}
