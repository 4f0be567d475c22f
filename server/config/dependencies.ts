import { parseTcpAddress } from './address.ts'
import type { Fault } from './check.ts'
import { isCipherSuite, openSslName } from './ciphers.ts'
import { checkQuayStorage } from './quay-storage.ts'
import { authWays } from './sections/auth.ts'
import { checkRedirect } from './sections/redirect.ts'
import { checkAzure } from './sections/storage-azure.ts'
import { checkGcs } from './sections/storage-gcs.ts'
import { checkStorageMiddleware } from './sections/storage-middleware.ts'
import { checkRados } from './sections/storage-rados.ts'
import { checkS3 } from './sections/storage-s3.ts'
import { checkSwift } from './sections/storage-swift.ts'
import { storage, storageSettings } from './sections/storage.ts'
import { at, isTree, textAt, type Tree } from './tree.ts'

/** What is wrong with a shaped tree by the way its keys depend on each other, which a schema can't say. */
export function checkDependencies(tree: unknown): Fault[] {
  return [
    ...checkDrivers(tree),
    ...checkParameters(tree),
    ...checkQuayStorage(tree),
    ...checkRedirect(tree),
    ...checkStorageMiddleware(tree),
    ...checkAuth(tree),
    ...checkAddress(tree),
    ...checkTls(tree),
  ]
}

function* checkDrivers(tree: unknown): Iterable<Fault> {
  const given = at(tree, 'storage')
  if (given !== undefined && !isTree(given)) return
  const keys = Object.keys(given ?? {}).filter(key => !storageSettings.includes(key))
  const drivers = keys.filter(key => Object.hasOwn(storage.properties, key))
  if (at(tree, 'DISTRIBUTED_STORAGE_CONFIG') !== undefined) {
    if (drivers.length > 0) {
      const message = `names ${drivers.join(', ')}, and DISTRIBUTED_STORAGE_CONFIG says where blobs are too; remove one`
      yield { path: 'storage', message }
    }
    return
  }
  // A key that is neither a driver nor a setting is a fault already, and may well be a driver's name misspelt.
  if (drivers.length === 1 || (drivers.length === 0 && keys.length > 0)) return
  const message =
    drivers.length === 0
      ? 'names no driver; write storage: filesystem, or storage: { filesystem: { rootdirectory: /path } }'
      : `names ${drivers.length} drivers (${drivers.join(', ')}) where one has to stand; REGISTRY_STORAGE=NAME replaces the one of the file`
  yield { path: 'storage', message }
}

const checksOfParameters: Readonly<Record<string, (path: string, section: Tree) => Iterable<Fault>>> = {
  s3: checkS3,
  s3aws: checkS3,
  s3goamz: checkS3,
  swift: checkSwift,
  rados: checkRados,
  azure: checkAzure,
  gcs: checkGcs,
}

function* checkParameters(tree: unknown): Iterable<Fault> {
  for (const [name, check] of Object.entries(checksOfParameters)) {
    const section = at(tree, `storage.${name}`)
    if (isTree(section)) yield* check(`storage.${name}`, section)
  }
}

function* checkAuth(tree: unknown): Iterable<Fault> {
  const given = at(tree, 'auth')
  if (!isTree(given)) return
  const ways = authWays.filter(way => given[way] !== undefined)
  if (ways.length > 1) yield { path: 'auth', message: `names ${ways.join(' and ')} where one has to stand` }
  if (given['access'] !== undefined && ways.some(way => way !== 'htpasswd'))
    yield { path: 'auth.access', message: 'stands beside htpasswd, or alone where clients have certificates; not here' }
  if (
    given['accounts'] !== undefined &&
    at(tree, 'database.url') !== undefined &&
    textAt(tree, 'auth.accounts.secretkey') === undefined
  )
    yield {
      path: 'auth.accounts.secretkey',
      message:
        'is missing: with a database of your own, every process needs the same; make one by: openssl rand -hex 32',
    }
  if (isTree(given['token'])) yield* checkToken(given['token'])
}

function* checkToken(token: Tree): Iterable<Fault> {
  if (token['realm'] === undefined && token['autoredirect'] !== true)
    yield {
      path: 'auth.token.realm',
      message: 'is missing: the URL at which clients get tokens; or set autoredirect: true',
    }
  if (token['rootcertbundle'] === undefined && token['jwks'] === undefined)
    yield {
      path: 'auth.token.rootcertbundle',
      message: 'is missing: a PEM file of certificates to verify tokens with; or give jwks, a JSON Web Key Set',
    }
}

function* checkAddress(tree: unknown): Iterable<Fault> {
  const net = textAt(tree, 'http.net')?.toLowerCase() ?? 'tcp'
  const addr = textAt(tree, 'http.addr')
  if (net === 'unix' && addr === undefined) {
    yield { path: 'http.addr', message: 'is missing: with http.net unix it is the path of the socket' }
  }
  if (net === 'tcp' && addr !== undefined && parseTcpAddress(addr) === undefined) {
    yield { path: 'http.addr', message: `${JSON.stringify(addr)} is not an address like 127.0.0.1:5000 or :5000` }
  }
}

function* checkTls(tree: unknown): Iterable<Fault> {
  const certificate = textAt(tree, 'http.tls.certificate')
  const key = textAt(tree, 'http.tls.key')
  if (certificate !== undefined && key === undefined) {
    yield { path: 'http.tls.key', message: 'is missing: a certificate is of no use without its key' }
  }
  if (certificate === undefined && key !== undefined) {
    yield { path: 'http.tls.certificate', message: 'is missing: a key is of no use without its certificate' }
  }
  const authorities = at(tree, 'http.tls.clientcas')
  const encrypted = certificate ?? key ?? textAt(tree, 'http.tls.letsencrypt.cachefile')
  if (encrypted === undefined && Array.isArray(authorities) && authorities.length > 0) {
    yield {
      path: 'http.tls.clientcas',
      message: 'asks for client certificates, which needs http.tls.certificate and key',
    }
  }
  const suites = at(tree, 'http.tls.ciphersuites')
  if (Array.isArray(suites) && suites.length > 0 && suites.every(isGone)) {
    yield {
      path: 'http.tls.ciphersuites',
      message: 'names only suites that OpenSSL has no more; add one, or remove the key',
    }
  }
}

function isGone(suite: unknown): boolean {
  const name = typeof suite === 'string' ? suite.toUpperCase() : ''
  return isCipherSuite(name) && openSslName(name) === undefined
}
