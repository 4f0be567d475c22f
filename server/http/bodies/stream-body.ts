import type { IncomingMessage } from 'node:http'
import { type Body, BodyBroken } from '../../bytes/body.ts'
import type { BufferPool } from '../../bytes/buffers.ts'
import { createFilling, type Filling } from '../../bytes/filling.ts'
import { writeContinue } from './continue.ts'

/**
 * A body as Node's own stream gives it, copied into buffers of the pool: the way for TLS, HTTP/2 and small bodies, and
 * for all where the direct way (direct-reads.ts) is not to be had.
 */
export function streamBody(raw: IncomingMessage, { pool, idleMs }: { pool: BufferPool; idleMs: number }): Body {
  let filling: Filling | undefined
  let stopped = false
  const pending: Buffer[] = []

  function readOn(): void {
    if (pour()) raw.resume()
  }

  /** @returns whether all that came has found room */
  function pour(): boolean {
    for (let chunk = pending[0]; chunk !== undefined; chunk = pending[0]) {
      const room = filling?.room()
      if (room === undefined) return false
      const length = Math.min(room.length, chunk.length)
      room.set(chunk.subarray(0, length))
      if (length < chunk.length) pending[0] = chunk.subarray(length)
      else pending.shift()
      filling?.advance(length, [0, length])
    }
    if (raw.readableEnded) filling?.end()
    return true
  }

  function take(chunk: Buffer): void {
    pending.push(chunk)
    if (!pour()) raw.pause()
  }

  function begin(): Filling {
    const made = createFilling({ pool, onRoom: readOn })
    filling = made
    const broken = (message: string, cause?: unknown) => {
      raw.off('data', take)
      made.fail(new BodyBroken(message, { cause }))
    }
    raw.setTimeout(idleMs, () => {
      // It is the store that is slow then, and not the client.
      if (raw.isPaused()) raw.setTimeout(idleMs)
      else broken('the client fell silent in the middle of the body')
    })
    raw.on('error', error => broken('the client broke the body off', error))
    // HTTP/2's, in the shape that Node gives it, ends then as if that were all.
    raw.once('aborted', () => broken('the client broke the body off'))
    raw.once('close', () => {
      raw.setTimeout(0)
      if (!raw.readableEnded) broken('the client broke the body off')
    })
    raw.once('end', () => {
      raw.setTimeout(0)
      if (pending.length === 0) made.end()
    })
    // Before anyone asks for it the client may be gone, or the body was read away.
    if (raw.destroyed || raw.aborted || raw.readableEnded) {
      broken('the client broke the body off', raw.errored ?? undefined)
      return made
    }
    writeContinue(raw)
    raw.on('data', take)
    return made
  }

  return {
    async next() {
      if (filling === undefined && stopped) throw new BodyBroken('nobody reads the body any more')
      return (filling ?? begin()).next()
    },
    stop() {
      stopped = true
      raw.off('data', take)
      raw.pause()
      filling?.stop()
    },
  }
}
