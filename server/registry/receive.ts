import type { WriteSession } from '../../storage-drivers/driver.ts'
import { type Body, BodyBroken, type Filled, piecesOf } from '../bytes/body.ts'
import type { HashThreads } from '../bytes/hash-threads.ts'
import { type RunningHash, toThread } from '../bytes/running-hash.ts'

/** A body up to this size that comes in one piece is hashed and written without telling another thread of it. */
const smallBody = 128 * 1024

export interface Received {
  /** Bytes that were taken from the body and written. */
  bytes: number
  /** Why the body ended before its end, if it did; what came before is written all the same. */
  failure: BodyBroken | undefined
  /** The hash of all that the upload has now; the one that was given is used up. */
  hash: RunningHash | undefined
}

export interface ReceiveOptions {
  session: WriteSession
  /** Bytes that the session had before. */
  offset: number
  /** Of those bytes; undefined where it is not known, and will be made of the stored bytes in the end. */
  hash: RunningHash | undefined
  threads: HashThreads
}

/**
 * Takes a request's body into an upload, hashing on the way. Several buffers may be on their way to the store at a time,
 * as many as a body may have: a slow store makes the socket wait.
 * @throws whatever the driver throws, when nothing is under way any more; the hash is dropped then
 */
export async function receive(body: Body, { session, offset, hash, threads }: ReceiveOptions): Promise<Received> {
  const underWay = new Set<Promise<void>>()
  let running = hash
  let bytes = 0
  let failed: { error: unknown } | undefined
  let written = Promise.resolve()

  /** Resolves with what has to be waited for, when the next buffer may be stored. */
  async function store(filled: Filled): Promise<{ done: Promise<void> }> {
    if (running?.threaded === true && session.file !== undefined) {
      const { position, settle } = await session.file.extend(filled.length)
      return { done: running.update(filled, { fd: session.file.fd, position }).then(() => settle(), settle) }
    }
    const hashed = running?.update(filled)
    // The driver takes one call at a time.
    const writing = written.then(() => session.write(piecesOf(filled)))
    written = writing
    return { done: bothOf(hashed, writing) }
  }

  async function take(filled: Filled): Promise<void> {
    const { done } = await store(filled).catch((error: unknown) => {
      filled.release()
      throw error
    })
    const over = done
      .then(
        () => void (bytes += filled.length),
        (error: unknown) => {
          failed ??= { error }
          // Whoever waits for the client's next bytes hears of it now.
          body.stop()
        },
      )
      .finally(() => {
        filled.release()
        underWay.delete(over)
      })
    underWay.add(over)
  }

  let failure: BodyBroken | undefined
  try {
    for (let filled = await body.next(); filled !== undefined; filled = await body.next()) {
      if (running !== undefined && !running.threaded && !(filled.last && filled.length <= smallBody)) {
        const before = offset + bytes
        running =
          underWay.size === 0 ? await toThread(running, threads, { length: before, fd: session.file?.fd }) : running
      }
      await take(filled)
      if (failed !== undefined) break
    }
  } catch (error) {
    if (error instanceof BodyBroken) failure = error
    else failed ??= { error }
  }
  body.stop()
  await Promise.all(underWay)
  if (failed === undefined) return { bytes, failure, hash: running }
  running?.drop()
  throw failed.error
}

/** As Promise.all, but when one fails the other is waited for: it still looks into the buffer. */
async function bothOf(one: Promise<void> | undefined, other: Promise<void>): Promise<void> {
  await Promise.allSettled([one, other])
  await one
  await other
}
