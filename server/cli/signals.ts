import { constants } from 'node:os'

/** A Ctrl-C reaches every program of a terminal, and some launchers pass it on once more: that is one wish, not two. */
const sameWishMs = 500

/**
 * Resolves with the first SIGTERM or SIGINT. From then on a second one ends the process at once: someone who asks
 * twice does not want to wait.
 */
export function untilSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let asked: number | undefined
  const stop = (signal: NodeJS.Signals) => {
    // With the status that a shell tells of a process which a signal ended.
    if (asked !== undefined && performance.now() - asked > sameWishMs) process.exit(128 + constants.signals[signal])
    asked ??= performance.now()
    resolve(signal)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  return promise
}
