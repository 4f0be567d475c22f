/**
 * Buffers for bodies, used again and again: a fresh one costs its zeroing and its page faults. They are shared with the
 * threads that hash and write. All uploads together get so many that memory does not grow with the clients.
 */
export interface BufferPool {
  /**
   * A buffer of `largeSize` when asked and there is one, else of `smallSize`; undefined when too many are out.
   * @param must whoever has none yet gets one in any case
   */
  take(size: 'small' | 'large', options: { must: boolean }): Uint8Array<SharedArrayBuffer> | undefined
  give(buffer: Uint8Array<SharedArrayBuffer>): void
  /** How many are taken. */
  readonly out: number
}

/** Measured: 256 KiB means more messages between threads, 1 MiB only more memory. */
export const largeSize = 512 * 1024
/** Two reads of 64 KiB fit. Of a client that sends little only the pages that were touched count. */
export const smallSize = 128 * 1024

const mostLarge = 96
const mostSmall = 256
/** Buffers that no one wants for so long are given back to the system. */
const idleMs = 10_000

export function createBufferPool(): BufferPool {
  const large = createShelf(largeSize, mostLarge)
  const small = createShelf(smallSize, mostSmall)
  let timer: NodeJS.Timeout | undefined

  return {
    take(size, { must }) {
      return (size === 'large' ? large.take(false) : undefined) ?? small.take(must)
    },
    give(buffer) {
      if (buffer.length === largeSize) large.give(buffer)
      else small.give(buffer)
      timer ??= setTimeout(() => {
        large.clear()
        small.clear()
      }, idleMs).unref()
      timer.refresh()
    },
    get out() {
      return large.out() + small.out()
    },
  }
}

function createShelf(size: number, most: number) {
  let free: Uint8Array<SharedArrayBuffer>[] = []
  let out = 0
  return {
    take(must: boolean) {
      if (out >= most && !must) return undefined
      out++
      return free.pop() ?? new Uint8Array(new SharedArrayBuffer(size))
    },
    give(buffer: Uint8Array<SharedArrayBuffer>) {
      out--
      if (free.length < most) free.push(buffer)
    },
    clear: () => void (free = []),
    out: () => out,
  }
}
