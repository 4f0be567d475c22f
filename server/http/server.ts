import http, { type RequestListener } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { TlsOptions } from 'node:tls'
import type { Logger } from '../lib/log.ts'
import { trackConnections } from './connections.ts'
import { writeTogether } from './write-together.ts'
import { counted, countedHttp2 } from './messages.ts'
import { checkClients, reloadOnChange, type TlsFiles, tlsOptions } from './tls.ts'

/** Makes the server that a fastify instance listens with. */
export type CreateServer = (handler: RequestListener) => http.Server

export interface ServerOptions {
  tls: TlsFiles | undefined
  /** HTTP/2 beside HTTP/1.1, as the client's handshake asks (over TLS only). */
  http2: boolean
  log: Logger
  /** Milliseconds between two looks for a change of the certificate's files; 5 seconds when left out. */
  watchEveryMs?: number
}

/** A connection on which nothing is asked is closed after so long. */
const idleMs = 75_000
/** A handshake is over within so long, or the connection is. */
const handshakeMs = 20_000
/** Requests without a host are answered by ourselves (broken-requests.ts). */
const http1Options = {
  ...counted,
  requireHostHeader: false,
  keepAliveTimeout: idleMs,
  shouldUpgradeCallback: () => false,
}
/** Without a larger window an upload waits for its server once in every 64 KiB. */
const http2Settings = { initialWindowSize: 4 * 1024 * 1024, maxConcurrentStreams: 250 }
/**
 * Megabytes that may wait to be sent in one session before it gets no more streams. Each download that its client is
 * slow to take keeps some hundred kilobytes waiting, and Node's 10 would be reached by a few dozen.
 */
const maxSessionMemory = 256

/** @throws Error with what to do when the files of the TLS settings can't be used */
export function serverCreator({ tls, http2: wantsHttp2, log, watchEveryMs = 5_000 }: ServerOptions): CreateServer {
  if (tls === undefined) return handler => settle(http.createServer(http1Options, handler))
  const options = { ...tlsOptions(tls), handshakeTimeout: handshakeMs }
  return handler => {
    const server: https.Server = wantsHttp2
      ? createHttp2Server(options, handler)
      : https.createServer({ ...options, ...http1Options }, handler)
    checkClients(server, tls)
    reloadOnChange(server, tls, { everyMs: watchEveryMs, log })
    return settle(server)
  }
}

function createHttp2Server(options: TlsOptions, handler: RequestListener): https.Server {
  const server = http2.createSecureServer({
    ...options,
    ...countedHttp2,
    allowHTTP1: true,
    http1Options,
    settings: http2Settings,
    maxSessionMemory,
  })
  server.on('session', session => {
    session.setLocalWindowSize(http2Settings.initialWindowSize * 4)
    session.setTimeout(idleMs, () => session.close())
  })
  return asHttpsServer(server, handler)
}

/** Node's compatibility API gives HTTP/2 requests the shape of HTTP/1's; its types do not say so. */
function asHttpsServer(server: http2.Http2SecureServer, handler: RequestListener): https.Server {
  const compatible = server as unknown as https.Server
  compatible.on('request', handler)
  return compatible
}

/** What all servers have in common: fastify leaves those that it did not make itself as they are. */
function settle<Server extends http.Server>(server: Server): Server {
  // Uploads take as long as they take; each body has an idle time of its own (bodies.ts).
  server.requestTimeout = 0
  trackConnections(server)
  writeTogether(server)
  return server
}
