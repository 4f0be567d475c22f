import { constants } from 'node:os'

/**
 * Resolves with the first SIGTERM or SIGINT. From then on a second one ends the process at once: someone who asks
 * twice does not want to wait.
 */
export function untilSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let asked = false
  const stop = (signal: NodeJS.Signals) => {
    // What a shell tells of a process that a signal ended.
    if (asked) process.exit(128 + constants.signals[signal])
    asked = true
    resolve(signal)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  return promise
}
