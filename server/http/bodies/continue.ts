import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/**
 * `Expect: 100-continue` where Node reads the bodies: it would tell the client to send before anyone has looked at the
 * request. So it is told when its body is first read; a request that is refused gets its answer instead.
 */

const waiting = new WeakMap<IncomingMessage, ServerResponse>()

/** To be called before the server listens. */
export function holdContinue(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.set(request, response)
    server.emit('request', request, response)
  })
}

/** Tells a client that waits for it to send its body. To be called before the body is read. */
export function writeContinue(request: IncomingMessage): void {
  const response = waiting.get(request)
  waiting.delete(request)
  if (response !== undefined && !response.headersSent) response.writeContinue()
}

/** Whether the client waits to be told to send, as far as it keeps to its word: nothing of a body has come. */
export function waitsForContinue(request: IncomingMessage): boolean {
  return waiting.has(request) && request.readableLength === 0
}
