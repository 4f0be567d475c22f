import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { RegistryError } from '../oci/errors.ts'
import { envelope } from './errors.ts'

/**
 * Answers what never becomes a request that a route could see, in the same envelope as everything else: what is not
 * HTTP enough, methods and expectations that Node itself would turn away.
 */
export function answerUnroutable(server: Server): void {
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    answer(socket, { status: '405 Method Not Allowed', message: 'this is a registry, not a proxy' })
  })
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const message = 'the only expectation that can be met is 100-continue'
    response.writeHead(417, { 'content-type': 'application/json; charset=utf-8' }).end(body(message))
  })
}

const faults: Record<string, { status: string; message: string }> = {
  HPE_HEADER_OVERFLOW: { status: '431 Request Header Fields Too Large', message: 'the URL and headers are too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: '408 Request Timeout', message: 'the request did not arrive in time' },
}

/** For fastify's `clientErrorHandler`. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
  else
    answer(socket, faults[error.code ?? ''] ?? { status: '400 Bad Request', message: 'the request is not valid HTTP' })
}

function answer(socket: Duplex, { status, message }: { status: string; message: string }): void {
  const text = body(message)
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  )
}

function body(message: string): string {
  return JSON.stringify(envelope([new RegistryError('UNSUPPORTED', { message })]))
}
