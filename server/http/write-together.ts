import type { Server } from 'node:http'
import { Socket } from 'node:net'

/**
 * Has what is written to all connections in one turn of the event loop go out at its end, one connection after the
 * other. To write to a client that sleeps means to wake it, which costs more than to answer a small request; a client
 * with many connections is woken by the first of these writes, and still awake at the others.
 *
 * Node gathers what belongs to one answer by `cork` and `uncork` of the connection; the latter is what waits here.
 * HTTP/2 has its own ways and is not concerned.
 */
export function writeTogether(server: Server): void {
  server.on('connection', waitWithWrites)
  server.on('secureConnection', waitWithWrites)
}

function waitWithWrites(socket: Socket): void {
  socket.uncork = uncorkLater
}

const waiting = new Set<Socket>()

function uncorkLater(this: Socket): void {
  if (waiting.size === 0) setImmediate(writeAll)
  waiting.add(this)
}

function writeAll(): void {
  const sockets = [...waiting]
  waiting.clear()
  for (const socket of sockets) {
    for (let left = socket.writableCorked; left > 0; left--) Socket.prototype.uncork.call(socket)
  }
}
