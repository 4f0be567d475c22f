/**
 * A probe that is run once at a time: who asks while it runs shares what comes of it. Who has waited for `timeoutMs` is
 * told that it did not answer; what hangs is not asked once more until it has come back.
 * @throws what the probe throws; Error after the time
 */
export function bounded(probe: () => Promise<unknown>, timeoutMs: number): () => Promise<void> {
  let running: Promise<unknown> | undefined
  return async () => {
    running ??= probe().finally(() => (running = undefined))
    const { promise, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs)
    try {
      await Promise.race([running, promise])
    } finally {
      clearTimeout(timer)
    }
  }
}
