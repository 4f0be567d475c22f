import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/** A proxy before a real Swift, which sees what the driver asks for, and can come between. */
export interface Front extends AsyncDisposable {
  url: string
  /** What was answered, in the order in which it began. */
  readonly seen: readonly Seen[]
  /** Looks at each request first: what it returns true for is answered, or left without an answer, by itself. */
  intercept(listener: (request: IncomingMessage, response: ServerResponse) => boolean): void
}

export interface Seen {
  method: string
  path: string
  status: number
}

export interface FrontOptions {
  /** The URL of the real one. */
  to: string
  /** PEM: then it speaks TLS. */
  tls?: { cert: Buffer; key: Buffer }
}

export async function startFront({ to, tls }: FrontOptions): Promise<Front> {
  const seen: Seen[] = []
  let intercepts: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined

  const listener: RequestListener = (incoming, response) => {
    const { method = '', url: path = '' } = incoming
    incoming.on('error', () => {})
    if (intercepts?.(incoming, response) === true) return
    // The host stays as the client wrote it: Swift's own login tells a URL below it.
    const onward = request(to + path, { method, headers: incoming.headers }, answer => {
      seen.push({ method, path, status: answer.statusCode ?? 0 })
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(response)
      // What is answered before its body was read is read all the same: another request comes behind it.
      answer.once('end', () => incoming.unpipe().resume())
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    incoming.pipe(onward)
  }

  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    seen,
    intercept: listener => void (intercepts = listener),
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
