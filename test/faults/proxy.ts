import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A road between Berth and its Postgres that can be closed. */
export interface Proxy {
  readonly port: number
  /** Cuts every connection, and refuses new ones. */
  cut(): Promise<void>
  /** Lets nothing through any more, in either direction, and says nothing of it: as a firewall does. */
  swallow(): void
  /** Everything goes through again; what was swallowed is lost with its connections. */
  mend(): Promise<void>
}

/** @param path the socket that all connections are led to */
export async function startProxy(t: Test, path: string): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let swallowing = false
  let server: Server | undefined

  function pair(client: Socket): void {
    const far = connect(path)
    for (const [from, to] of [
      [client, far],
      [far, client],
    ] as const) {
      sockets.add(from)
      from.on('data', chunk => {
        if (!swallowing) to.write(chunk)
      })
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        if (!swallowing) to.destroy()
      })
    }
  }

  async function listen(port: number): Promise<number> {
    server = createServer(pair).listen(port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
    return address.port
  }

  function destroyAll(): void {
    for (const socket of sockets) socket.destroy()
  }

  async function cut(): Promise<void> {
    const closing = server
    server = undefined
    if (closing === undefined) return
    const closed = once(closing, 'close')
    closing.close()
    destroyAll()
    await closed
  }

  const port = await listen(0)
  t.teardown(cut)
  return {
    port,
    cut,
    swallow: () => void (swallowing = true),
    async mend() {
      if (swallowing) destroyAll()
      swallowing = false
      if (server === undefined) await listen(port)
    },
  }
}
