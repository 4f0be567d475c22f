import { type IncomingMessage, METHODS, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Logger } from '../lib/log.ts'
import { RegistryError } from '../oci/errors.ts'
import { holdContinue } from './bodies/continue.ts'
import { envelope } from './errors.ts'

/** What never becomes a request that a route could see, answered in the same envelope as everything else. */
export interface BrokenRequests {
  /** What is not HTTP enough: for fastify's `clientErrorHandler`. */
  answer(this: void, error: Error & { code?: string }, socket: Duplex): void
  /** Methods and expectations that Node itself would turn away. To be called before the server listens. */
  attach(server: Server): void
  /** Keeps from a handler methods that no one knows, which HTTP/2 lets through, and requests that name no host. */
  guard(handler: RequestListener): RequestListener
}

export interface BrokenRequestOptions {
  /** Of every response, names in lower case. */
  headers: Readonly<Record<string, string | string[]>>
  log: Logger
}

/** After an answer on a connection that is of no further use, its client has so long to take it. */
const lingerMs = 5_000
const contentType = 'application/json; charset=utf-8'

const methods = new Set(METHODS)

const notHttp = { status: '400 Bad Request', message: 'the request is not valid HTTP' }
const faults: Record<string, typeof notHttp> = {
  HPE_HEADER_OVERFLOW: { status: '431 Request Header Fields Too Large', message: 'the URL and headers are too large' },
  HPE_INVALID_EOF_STATE: { status: '400 Bad Request', message: 'the request ended before its end' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: '408 Request Timeout', message: 'the request did not arrive in time' },
}

export function createBrokenRequests({ headers, log }: BrokenRequestOptions): BrokenRequests {
  const answering = new WeakMap<Duplex, ServerResponse>()
  const answered = new WeakSet<Duplex>()

  function respond(response: ServerResponse, status: number, message: string): void {
    const text = body(message)
    const length = Buffer.byteLength(text)
    response.writeHead(status, { ...headers, 'content-type': contentType, 'content-length': length }).end(text)
  }

  /** Answers on the connection itself and closes it, but not before the client had time to read. */
  function end(socket: Duplex, { status, message }: typeof notHttp): void {
    const text = body(message)
    const common = Object.entries(headers).flatMap(([name, value]) => [value].flat().map(one => `${name}: ${one}\r\n`))
    socket.end(
      `HTTP/1.1 ${status}\r\n${common.join('')}content-type: ${contentType}\r\n` +
        `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
    )
    destroyLater(socket)
    socket.on('error', () => {})
    socket.resume()
  }

  return {
    answer({ code = '', message }, socket) {
      // The parser complains of each piece that still comes in.
      if (answered.has(socket)) return
      // Anything else is of the connection, or of TLS: there is no one to talk to.
      const fault = faults[code] ?? (code.startsWith('HPE_') ? notHttp : undefined)
      const client = 'remoteAddress' in socket ? socket.remoteAddress : undefined
      log[fault === undefined ? 'debug' : 'info']({ client, reason: code || message }, 'request not understood')
      const current = answering.get(socket)
      const inTheMiddle = current !== undefined && current.headersSent && !current.writableFinished
      if (inTheMiddle && current.writableEnded && current.socket !== null) {
        // Its bytes may be waiting for the end of this turn (write-together.ts).
        answered.add(socket)
        current.socket.destroySoon()
        destroyLater(socket)
        return
      }
      if (fault === undefined || !socket.writable || inTheMiddle) {
        socket.destroy()
        return
      }
      answered.add(socket)
      end(socket, fault)
    },

    attach(server) {
      holdContinue(server)
      server.on('connect', (_request: IncomingMessage, connection: Duplex | ServerResponse) => {
        const message = 'this is a registry, not a proxy'
        // HTTP/2 has CONNECT on a stream of its own, which it gives in the shape of a response.
        if ('writeHead' in connection) respond(connection, 405, message)
        else end(connection, { status: '405 Method Not Allowed', message })
      })
      server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
        respond(response, 417, 'the only expectation that can be met is 100-continue')
      })
    },

    guard: handler => (request, response) => {
      if (!methods.has(request.method ?? '')) {
        respond(response, 501, 'no one knows this method')
        return
      }
      if (request.httpVersionMajor === 1) answering.set(request.socket, response)
      const fault = request.httpVersionMajor === 1 ? faultOf(request) : undefined
      if (fault !== undefined) {
        response.setHeader('connection', 'close')
        respond(response, fault.status, fault.message)
        return
      }
      handler(request, response)
    },
  }
}

function destroyLater(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
}

/** What HTTP/1 forbids in the headers and Node lets through, or turns away without a word. */
function faultOf({
  httpVersion,
  headers,
  rawHeaders,
}: IncomingMessage): { status: number; message: string } | undefined {
  // RFC 9112 section 3.2
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  if (hosts === 0 && httpVersion === '1.1') return { status: 400, message: 'a request has to name its host' }
  if (hosts > 1) return { status: 400, message: 'a request names its host once' }
  // Of a body in any other coding only the last layer would be taken off. RFC 9112 section 6.1 has 501 for it; but it is
  // the request that is wrong, and who watches a registry should not be woken by it.
  const coding = headers['transfer-encoding']
  if (coding === undefined || /^chunked$/i.test(coding)) return undefined
  return { status: 400, message: 'the only transfer coding that is understood is chunked' }
}

function body(message: string): string {
  return JSON.stringify(envelope([new RegistryError('UNSUPPORTED', { message })]))
}
