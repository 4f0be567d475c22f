import { EventEmitter, once } from 'node:events'
import type { FastifyInstance } from 'fastify'

/** Connections on which nothing is asked any more are looked for so often while the server stops. */
const lookEveryMs = 50
/** What is still done for a request whose connection is gone may take so long: writing down how far an upload came. */
const graceMs = 5_000
/** The longest time that a timer takes. */
const longestMs = 2 ** 31 - 1

/** Has `app.close()` wait for operations too, not only for their connections. To be called before any route is made. */
export function waitForHandlers(app: FastifyInstance): void {
  let working = 0
  const idle = new EventEmitter()
  const over = () => {
    if (--working === 0) idle.emit('idle')
  }
  app.addHook('onRoute', route => {
    const { handler } = route
    route.handler = function work(request, reply) {
      const result: unknown = handler.call(this, request, reply)
      if (result instanceof Promise) {
        working++
        result.then(over, over)
      }
      return result
    }
  })
  // By now no connection is left.
  app.addHook('onClose', async () => {
    if (working === 0) return
    await once(idle, 'idle', { signal: AbortSignal.timeout(graceMs) }).catch(() => {})
  })
}

/**
 * Stops serving: takes no new connections, lets the requests under way end, and cuts off those that have not ended
 * after `timeoutMs`. @returns whether all of them could end
 */
export async function drain(app: FastifyInstance, timeoutMs: number): Promise<boolean> {
  const { server } = app
  let whole = true
  const cut = setTimeout(
    () => {
      whole = false
      server.closeAllConnections()
    },
    Math.min(timeoutMs, longestMs),
  )
  // A connection is kept open after its request, and Node looks for idle ones only once.
  const look = setInterval(() => server.closeIdleConnections(), lookEveryMs)
  await app.close()
  clearTimeout(cut)
  clearInterval(look)
  return whole
}
