import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { Server as TlsServer, type TLSSocket } from 'node:tls'

/**
 * Makes `closeIdleConnections` and `closeAllConnections` of a server mean what they say: Node's own leave out HTTP/2
 * sessions, connections on which nothing was asked yet, and those in their TLS handshake. Idle HTTP/2 sessions end
 * gracefully: what is under way on them is done first.
 */
export function trackConnections(server: Server): void {
  const sockets = setOf<Socket>(server, 'connection')
  const secure = setOf<TLSSocket>(server, 'secureConnection')
  const sessions = setOf<ServerHttp2Session>(server, 'session')
  const asking = new Map<Socket, number>()

  server.on('request', ({ socket, httpVersionMajor }: IncomingMessage, response: ServerResponse) => {
    if (httpVersionMajor !== 1) return
    asking.set(socket, (asking.get(socket) ?? 0) + 1)
    response.once('close', () => {
      const left = (asking.get(socket) ?? 1) - 1
      if (left > 0) asking.set(socket, left)
      else asking.delete(socket)
    })
  })

  server.closeIdleConnections = () => {
    for (const socket of server instanceof TlsServer ? secure : sockets) {
      const isHttp2 = 'alpnProtocol' in socket && socket.alpnProtocol === 'h2'
      if (!isHttp2 && !asking.has(socket)) socket.destroy()
    }
    for (const session of sessions) session.close()
  }
  server.closeAllConnections = () => {
    for (const socket of [...sockets, ...secure]) socket.destroy()
  }
}

/** What a server tells of by an event, until it closes. */
function setOf<T extends { once(event: 'close', listener: () => void): unknown }>(
  server: Server,
  event: string,
): Set<T> {
  const open = new Set<T>()
  server.on(event, (one: T) => {
    // A connection is told of again when it comes back from a body that was read past the parser.
    if (open.has(one)) return
    open.add(one)
    one.once('close', () => open.delete(one))
  })
  return open
}
