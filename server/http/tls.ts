import { X509Certificate } from 'node:crypto'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:https'
import { createSecureContext, type SecureVersion, type TLSSocket, type TlsOptions } from 'node:tls'
import type { Logger } from '../lib/log.ts'

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

/**
 * What `node:tls` takes, read from the files and tried out.
 * @throws Error with what to do when a file can't be read, or the key is not that of the certificate
 */
export function tlsOptions({ certificate, key, clientcas, clientauth, minimumtls, ciphers }: TlsFiles): TlsOptions {
  const asks = clientcas.length > 0
  const options: TlsOptions = {
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
  try {
    createSecureContext(options)
  } catch (error) {
    throw new Error(whatIsWrong(error, { certificate, key, clientcas }), { cause: error })
  }
  return options
}

/** Has a server turn away the clients that `clientauth` does not let in, before they can say anything. */
export function checkClients(server: Server, tls: TlsFiles): void {
  if (tls.clientcas.length === 0) return
  server.prependListener('secureConnection', socket => {
    if (!mayEnter(socket, tls.clientauth)) socket.destroy()
  })
}

/** The modes of Go's TLS that lie between asking for a certificate and verifying it. */
function mayEnter(socket: TLSSocket, mode: TlsFiles['clientauth']): boolean {
  const given = Object.keys(socket.getPeerCertificate()).length > 0
  switch (mode) {
    case 'request-client-cert':
      return true
    case 'require-any-client-cert':
      return given
    case 'verify-client-cert-if-given':
      return !given || socket.authorized
    case 'require-and-verify-client-cert':
      return socket.authorized
    default:
      return mode satisfies never
  }
}

export interface ReloadOptions {
  /** Milliseconds between two looks at the files. */
  everyMs: number
  log: Logger
}

/**
 * Certificates are renewed under a running registry: whoever connects after the files have changed gets the new one,
 * connections that are open stay. Files that can't be used are told in the log, and the certificate before them stays.
 */
export function reloadOnChange(server: Server, tls: TlsFiles, { everyMs, log }: ReloadOptions): void {
  const { certificate } = tls
  const files = [certificate, tls.key, ...tls.clientcas]
  const reload = () => {
    try {
      const options = tlsOptions(tls)
      server.setSecureContext(options)
      log.info({ certificate, until: validUntil(certificate) }, 'certificate read anew')
    } catch (error) {
      // In the middle of a renewal the key does not fit; the change of the second file comes here again.
      log.warn({ err: error, certificate }, 'changed certificate not usable, the one before it stays')
    }
  }
  for (const file of files) watchFile(file, { interval: everyMs, persistent: false }, reload)
  server.on('close', () => {
    for (const file of files) unwatchFile(file, reload)
  })
}

function validUntil(certificate: string): string {
  return new Date(new X509Certificate(readFileSync(certificate)).validTo).toISOString()
}

function read(file: string, setting: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new Error(`${setting}: the file ${file} can not be read: correct the path, or let Berth's user read it`, {
      cause: error,
    })
  }
}

function whatIsWrong(
  error: unknown,
  { certificate, key, clientcas }: Pick<TlsFiles, 'certificate' | 'key' | 'clientcas'>,
): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' || code === 'ERR_OSSL_X509_KEY_TYPE_MISMATCH')
    return `http.tls: ${key} is not the key of the certificate ${certificate}: give the two that belong together`
  if (code === 'ERR_SSL_NO_CIPHER_MATCH')
    return 'http.tls.ciphersuites: OpenSSL has none of them; remove the key, or add one that it has'
  const files = [certificate, key, ...clientcas].join(', ')
  return `http.tls: OpenSSL can not use ${files}: certificates and keys have to be PEM, and the key without a passphrase`
}
