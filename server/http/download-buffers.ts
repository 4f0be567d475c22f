/** Buffers for downloads, used again and again: a fresh one costs its page faults. */
export interface DownloadBuffers {
  /** One of `smallSize`, or of `largeSize` when asked and not too many of those are out. */
  take(size: 'small' | 'large'): Buffer
  /** Only when nothing reads or writes it any more. */
  give(buffer: Buffer): void
  /** Instead of `give` for one that may still be in use: it is left to Node. */
  drop(buffer: Buffer): void
}

/** Bytes. */
export const smallSize = 64 * 1024
export const largeSize = 1024 * 1024

/** 16 MiB and 32 MiB: as many large ones as are ever out. */
const mostFree = { small: 256, large: 32 }
/** 32 MiB. */
const mostLargeOut = 32
/** Buffers that no one wants for so long are given back to the system. */
const idleMs = 10_000

export function createDownloadBuffers(): DownloadBuffers {
  let small: Buffer[] = []
  let large: Buffer[] = []
  let largeOut = 0
  let timer: NodeJS.Timeout | undefined

  function drop(buffer: Buffer): void {
    if (buffer.length === largeSize) largeOut--
  }

  return {
    take(size) {
      if (size === 'small' || largeOut >= mostLargeOut) return small.pop() ?? Buffer.allocUnsafeSlow(smallSize)
      largeOut++
      return large.pop() ?? Buffer.allocUnsafeSlow(largeSize)
    },
    give(buffer) {
      drop(buffer)
      if (buffer.length === smallSize && small.length < mostFree.small) small.push(buffer)
      if (buffer.length === largeSize && large.length < mostFree.large) large.push(buffer)
      timer ??= setTimeout(() => {
        small = []
        large = []
      }, idleMs).unref()
      timer.refresh()
    },
    drop,
  }
}
