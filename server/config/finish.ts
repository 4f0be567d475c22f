import { resolve } from 'node:path'
import { parseAddress } from './address.ts'
import { defaultCipherSuites, openSslName, type CipherSuite } from './ciphers.ts'
import type { Config, Frozen, HttpConfig, ParsedConfig, TlsConfig } from './config.ts'
import { finishStorage } from './finish-storage.ts'
import { finishStorageMiddleware } from './sections/storage-middleware.ts'

/**
 * Settles what depends on several keys (the data folder, the meaning of `http.addr`, whether there is TLS), makes
 * paths absolute, leaves out what is not acted upon, and freezes the result. Relative paths count from `cwd`.
 * `notes` are about what turned out to have no effect.
 */
export function finish(parsed: ParsedConfig, cwd: string): { config: Config; notes: string[] } {
  const notes: string[] = []
  const { version, database, catalog, tags } = parsed
  const { hooks: _hooks, reportcaller: _reportcaller, ...log } = parsed.log
  const { enabled, ...validation } = parsed.validation
  const { file, ...health } = parsed.health

  const { data, storage } = finishStorage(parsed, cwd)
  const middleware = finishStorageMiddleware(parsed.middleware?.storage ?? [], cwd, notes)

  const auth = finishAuth(parsed.auth, cwd)
  const config: Config = {
    version,
    data,
    database,
    log,
    http: finishHttp(parsed.http, cwd, notes),
    storage,
    ...(auth === undefined ? {} : { auth }),
    ...(middleware.length === 0 ? {} : { middleware: { storage: middleware } }),
    // As in registry:3, where the old `enabled` wins over `disabled`.
    validation: { ...validation, disabled: validation.disabled && enabled !== true },
    health: { ...health, file: file.map(check => ({ ...check, file: resolve(cwd, check.file) })) },
    catalog,
    tags,
  }
  return { config: freeze(config), notes }
}

/** Undefined where no one is asked. */
function finishAuth(parsed: ParsedConfig['auth'], cwd: string): Config['auth'] {
  const { htpasswd, token, access, accounts } = parsed ?? {}
  const auth = {
    ...(htpasswd === undefined ? {} : { htpasswd: { ...htpasswd, path: resolve(cwd, htpasswd.path) } }),
    ...(token === undefined ? {} : { token: finishToken(token, cwd) }),
    ...(access === undefined ? {} : { access: { path: resolve(cwd, access.path) } }),
    ...(accounts === undefined ? {} : { accounts }),
  }
  return Object.keys(auth).length === 0 ? undefined : auth
}

function finishToken({ rootcertbundle, jwks, ...token }: TokenSection, cwd: string): TokenSection {
  return {
    ...token,
    ...(rootcertbundle === undefined ? {} : { rootcertbundle: resolve(cwd, rootcertbundle) }),
    ...(jwks === undefined ? {} : { jwks: resolve(cwd, jwks) }),
  }
}

type TokenSection = NonNullable<NonNullable<ParsedConfig['auth']>['token']>

function finishHttp(parsed: ParsedConfig['http'], cwd: string, notes: string[]): HttpConfig {
  const { addr: written, tls: parsedTls, h2c: _h2c, ...http } = parsed
  const addr = parseAddress(http.net, written, cwd)
  if (addr === undefined) throw new TypeError('http.addr was not checked')
  const tls = parsedTls && finishTls(parsedTls, cwd, notes)
  return tls === undefined ? { addr, ...http } : { addr, ...http, tls }
}

function finishTls(
  parsed: NonNullable<ParsedConfig['http']['tls']>,
  cwd: string,
  notes: string[],
): TlsConfig | undefined {
  const { certificate, key, letsencrypt: _letsencrypt, ...tls } = parsed
  if (!certificate || !key) {
    notes.push('http.tls has no effect without a certificate and a key')
    return undefined
  }
  const wanted = tls.ciphersuites.length === 0 ? defaultCipherSuites : tls.ciphersuites
  const gone = wanted.filter(suite => openSslName(suite) === undefined)
  if (gone.length > 0) notes.push(`http.tls.ciphersuites: left out, as OpenSSL has them no more: ${gone.join(', ')}`)
  const ciphersuites = wanted.filter(suite => !gone.includes(suite))
  return {
    ...tls,
    certificate: resolve(cwd, certificate),
    key: resolve(cwd, key),
    clientcas: tls.clientcas.map(path => resolve(cwd, path)),
    ciphersuites,
    ciphers: openSslCiphers(ciphersuites, tls.minimumtls),
  }
}

function openSslCiphers(suites: readonly CipherSuite[], minimum: TlsConfig['minimumtls']): string {
  const names = suites.flatMap(suite => openSslName(suite) ?? [])
  // OpenSSL 3 speaks TLS 1.0 and 1.1 on its lowest security level alone.
  return [...names, ...(minimum === 'TLSv1' || minimum === 'TLSv1.1' ? ['@SECLEVEL=0'] : [])].join(':')
}

/** Freezes a value and all that is in it. */
function freeze<Value>(value: Value): Frozen<Value>
function freeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof RegExp) return value
  for (const part of Object.values(value)) freeze(part)
  return Object.freeze(value)
}
