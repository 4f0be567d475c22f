/**
 * Resolves with the first SIGTERM or SIGINT. From then on a second one ends the process at once: someone who asks
 * twice does not want to wait.
 */
export function untilSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let asked = false
  const stop = (signal: NodeJS.Signals) => {
    if (asked) process.exit(1)
    asked = true
    resolve(signal)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  return promise
}
