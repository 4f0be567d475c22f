import type { Readable } from 'node:stream'
import type { WriteSession } from '../../storage-drivers/driver.ts'
import type { Digester } from '../oci/digest.ts'

/** Bytes that are gathered before they are handed to the driver: a write per mebibyte, not per 64 KiB chunk. */
const batchSize = 1024 * 1024

export interface Received {
  /** Bytes that were taken from the body and written. */
  bytes: number
  /** Why the body ended before its end, if it did; what came before is written all the same. */
  failure: unknown
}

/**
 * Streams a request's body into an upload, hashing on the way. One batch is being written while the next one is
 * gathered, so an upload holds two batches at most, and a slow store makes the socket wait.
 * @throws whatever the driver throws; a body that breaks off is not thrown but told, since its bytes count
 */
export async function receive(
  body: Readable,
  session: WriteSession,
  digester: Digester | undefined,
): Promise<Received> {
  let batch: Uint8Array[] = []
  let gathered = 0
  let bytes = 0
  let writing: Promise<void> = Promise.resolve()

  const flush = async () => {
    await writing
    const chunks = batch
    const length = gathered
    batch = []
    gathered = 0
    writing = session.write(chunks).then(() => void (bytes += length))
    // A failure is thrown where it is awaited next; until then it must not count as unhandled.
    writing.catch(() => {})
  }

  let failure: unknown
  try {
    for await (const chunk of chunksOf(body)) {
      digester?.update(chunk)
      batch.push(chunk)
      gathered += chunk.byteLength
      if (gathered >= batchSize) await flush()
    }
  } catch (error) {
    if (!isBroken(body)) throw error
    failure = error
  }
  if (gathered > 0) await flush()
  await writing
  return { bytes, failure }
}

async function* chunksOf(body: Readable): AsyncGenerator<Uint8Array> {
  // The stream is left as it is when the loop ends early: the response decides what becomes of the connection.
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('a request body must be a stream of bytes')
    yield chunk
  }
}

/** Whether it was the body that failed, and not the store that it goes to. */
function isBroken(body: Readable): boolean {
  return body.errored !== null || (body.destroyed && !body.readableEnded)
}
