import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import http, { type RequestListener } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { SecureVersion, TLSSocket, TlsOptions } from 'node:tls'
import type { Logger } from '../lib/log.ts'

/** Makes the server that a fastify instance listens with. */
export type CreateServer = (handler: RequestListener) => http.Server

/** `http.tls` of the configuration. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  /** Certificate authorities of clients; with any, `clientauth` says what is asked of them. */
  readonly clientcas: readonly string[]
  readonly clientauth:
    | 'request-client-cert'
    | 'require-any-client-cert'
    | 'verify-client-cert-if-given'
    | 'require-and-verify-client-cert'
  readonly minimumtls: SecureVersion
  /** In OpenSSL's spelling. */
  readonly ciphers: string
}

export interface ServerOptions {
  tls: TlsFiles | undefined
  /** HTTP/2 beside HTTP/1.1, as the client's handshake asks (over TLS only). */
  http2: boolean
  log: Logger
}

/** Changes of certificate files are looked for so often. */
const watchEveryMs = 5_000
/** Without a larger window an upload waits for its server once in every 64 KiB. */
const http2Settings = { initialWindowSize: 4 * 1024 * 1024, maxConcurrentStreams: 1000 }

/** @throws Error when a file of the TLS settings can't be read */
export function serverCreator({ tls, http2: wantsHttp2, log }: ServerOptions): CreateServer {
  if (tls === undefined) return handler => http.createServer({ noDelay: true }, handler)
  const options = tlsOptions(tls)
  return handler => {
    const server: https.Server = wantsHttp2 ? createHttp2Server(options, handler) : https.createServer(options, handler)
    // As for plain HTTP (app.ts); the servers with TLS are not told by the framework.
    server.requestTimeout = 0
    server.on('secureConnection', socket => refuseUnverified(socket, tls))
    reloadOnChange(server, tls, log)
    return server
  }
}

function createHttp2Server(options: TlsOptions, handler: RequestListener): https.Server {
  const server = http2.createSecureServer({ ...options, allowHTTP1: true, settings: http2Settings })
  server.on('session', session => session.setLocalWindowSize(http2Settings.initialWindowSize * 4))
  return asHttpsServer(server, handler)
}

/** Node's compatibility API gives HTTP/2 requests the shape of HTTP/1's; its types do not say so. */
function asHttpsServer(server: http2.Http2SecureServer, handler: RequestListener): https.Server {
  const compatible = server as unknown as https.Server
  compatible.on('request', handler)
  return compatible
}

function tlsOptions({ certificate, key, clientcas, clientauth, minimumtls, ciphers }: TlsFiles): TlsOptions {
  const asks = clientcas.length > 0
  return {
    cert: read(certificate, 'http.tls.certificate'),
    key: read(key, 'http.tls.key'),
    minVersion: minimumtls,
    ciphers,
    ...(asks
      ? {
          ca: clientcas.map(file => read(file, 'http.tls.clientcas')),
          requestCert: true,
          rejectUnauthorized: clientauth === 'require-and-verify-client-cert',
        }
      : {}),
  }
}

/** The modes of Go's TLS that lie between asking for a certificate and verifying it. */
function refuseUnverified(socket: TLSSocket, { clientcas, clientauth }: TlsFiles): void {
  if (clientcas.length === 0) return
  const given = Object.keys(socket.getPeerCertificate()).length > 0
  const refused =
    (clientauth === 'require-any-client-cert' && !given) ||
    (clientauth === 'verify-client-cert-if-given' && given && !socket.authorized)
  if (refused) socket.destroy()
}

/** Certificates are renewed under a running registry: whoever connects from then on gets the new one. */
function reloadOnChange(server: https.Server, tls: TlsFiles, log: Logger): void {
  const files = [tls.certificate, tls.key, ...tls.clientcas]
  const reload = () => {
    try {
      server.setSecureContext(tlsOptions(tls))
      log.info({ certificate: tls.certificate }, 'certificate read anew')
    } catch (error) {
      // In the middle of a renewal the key does not fit; the change of the second file comes here again.
      log.warn({ err: error, certificate: tls.certificate }, 'changed certificate not usable, the old one stays')
    }
  }
  for (const file of files) watchFile(file, { interval: watchEveryMs, persistent: false }, reload)
  server.on('close', () => {
    for (const file of files) unwatchFile(file, reload)
  })
}

function read(file: string, setting: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new Error(`${setting}: the file ${file} can not be read`, { cause: error })
  }
}
