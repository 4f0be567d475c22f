import type { Worker } from 'node:cluster'

/**
 * Mends what becomes of a connection that is on its way to a process of a cluster, in two moments in which Node would
 * keep it open and do nothing with it, so that its client waits for ever. Seen with Node 24.21.0.
 *
 * - The process dies. Node waits for its answer all the same, and so never tells that it is disconnected either. Where
 *   Node comes to do both by itself, doing it here as well does no harm.
 * - All processes stop. The last of them takes no connections any more, and Node keeps this one for the next.
 *
 * Only one connection is on its way to a process at a time: node:cluster hands over the next after the answer.
 * @param stopping aborted when all processes stop
 */
export function closeLostConnection({ process: child }: Worker, stopping: AbortSignal): void {
  const send = child.send.bind(child)
  let onItsWay: unknown
  child.send = (...given: unknown[]) => {
    onItsWay = given[1] ?? onItsWay
    return Reflect.apply(send, child, given)
  }
  // Before Node's own listener, which then does with the connection what the answer says, and sends the next one.
  child.prependListener('internalMessage', (message: object) => {
    if (!('accepted' in message)) return
    onItsWay = undefined
    // What was accepted is closed on this side.
    if (stopping.aborted) message.accepted = true
  })
  child.once('exit', () => {
    if (!canClose(onItsWay)) return
    onItsWay.close()
    child.emit('disconnect')
  })
}

function canClose(handle: unknown): handle is { close(): void } {
  return typeof handle === 'object' && handle !== null && 'close' in handle && typeof handle.close === 'function'
}
