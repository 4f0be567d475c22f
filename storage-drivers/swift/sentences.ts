/**
 * What an operator is told when the driver can't be started, or does not work any more: one sentence, which names the
 * setting that is to be corrected. What went wrong below is its cause.
 */
import { OutOfSpace } from '../driver.ts'
import { statusOf } from './answers.ts'
import type { SwiftAuth, SwiftOptions } from './options.ts'
import { codeOf } from './retries.ts'

/** What answers at the URL is something else. */
export function noLogin(url: string, version: number): Error {
  return new Error(
    `at ${url} there is no login of version ${version}: correct storage.swift.authurl or storage.swift.authversion`,
  )
}

/** Why nobody could log in. */
export function loginFailure(error: unknown, { auth, version }: { auth: SwiftAuth; version: number }): Error {
  const { url } = auth
  const below = connectionFailure(error, { what: `the login ${url}`, setting: 'storage.swift.authurl' })
  if (below !== undefined) return below
  switch (statusOf(error)) {
    case undefined:
      return asError(error)
    case 401:
    case 403:
      return sentence(`the login ${url} refuses ${whoOf(auth)}`, error)
    case 404:
    case 405:
    case 300:
      return noLogin(url, version)
    default:
      return sentence(`the login ${url} does not work at the moment: look into its log`, error)
  }
}

function whoOf({ applicationCredential, username, userId, tenant, tenantId, trustId }: SwiftAuth): string {
  if (applicationCredential !== undefined) {
    const { id, name } = applicationCredential
    return `the application credential ${id ?? name}: correct storage.swift.applicationcredentialid or storage.swift.applicationcredentialsecret, or make a new one if it has run out`
  }
  const user = `the user ${username ?? userId}`
  if (trustId !== undefined)
    return `${user} with the trust ${trustId}: correct storage.swift.username, storage.swift.password or storage.swift.trustid`
  const project = tenant ?? tenantId
  return project === undefined
    ? `${user}: correct storage.swift.username or storage.swift.password`
    : `${user} for the project ${project}: correct storage.swift.username, storage.swift.password, storage.swift.tenant or their domains`
}

export interface Place extends Pick<SwiftOptions, 'container'> {
  /** Of the account. */
  url: string
}

/** Why Swift can't be used though the login went well. */
export function storageFailure(error: unknown, { url, container }: Place): Error {
  const below = connectionFailure(error, {
    what: `Swift at ${url}`,
    setting: 'storage.swift.storageurl, storage.swift.region or storage.swift.endpointtype',
  })
  if (below !== undefined) return below
  switch (statusOf(error instanceof OutOfSpace ? error.cause : error)) {
    case undefined:
      return asError(error)
    case 401:
    case 403:
      return foreign({ url, container }, error)
    case 404:
      return missing({ url, container }, error)
    case 405:
    case 501:
      return noSwift(url, error)
    case 413:
    case 507:
      return sentence(
        `Swift at ${url} takes no more bytes into the container ${container}: raise its quota or make room`,
        error,
      )
    default:
      return sentence(`Swift at ${url} does not work at the moment: look into its log`, error)
  }
}

export function foreign({ url, container }: Place, cause?: unknown): Error {
  return sentence(
    `the user of storage.swift may not use the container ${container} at ${url}, which may be someone else's: name another one in storage.swift.container, or give the user the right to read and write it`,
    cause,
  )
}

export function missing({ url, container }: Place, cause?: unknown): Error {
  return sentence(
    `there is no container ${container} at ${url}: make it, correct storage.swift.container, or set storage.swift.createcontainer to true`,
    cause,
  )
}

export function noSwift(url: string, cause?: unknown): Error {
  return sentence(
    `what answers at ${url} is no Swift: correct the catalog of the login, or name the account's URL in storage.swift.storageurl`,
    cause,
  )
}

export function noLargeObjects(url: string): Error {
  return sentence(
    `Swift at ${url} has no static large objects, without which blobs can't be stored in parts: add slo to the pipeline of its proxy`,
  )
}

export function uselessTempUrls(setting: string, cause?: unknown): Error {
  return sentence(
    `Swift refuses the temporary URLs that are signed with the key of ${setting}: set it there too, correct it, or remove it to have one chosen`,
    cause,
  )
}

/** What broke before anything could be answered; undefined where it is something else. */
function connectionFailure(error: unknown, { what, setting }: { what: string; setting: string }): Error | undefined {
  const code = codeOf(error)
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return sentence(`the host of ${what} is not known to the DNS: correct ${setting}`, error)
    case 'ECONNREFUSED':
      return sentence(`nobody listens where ${what} should be: start it, or correct ${setting}`, error)
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return sentence(`${what} can not be reached from here: correct ${setting}, or open the way to it`, error)
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return sentence(
        `${what} takes the connection and does not answer: look into its log, or correct ${setting}`,
        error,
      )
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return sentence(`${what} breaks off the connection: look into its log, or correct ${setting}`, error)
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return sentence(
        `${what} does not speak TLS there: write http:// in place of https://, or correct ${setting}`,
        error,
      )
    case 'CERT_HAS_EXPIRED':
      return sentence(`the certificate of ${what} has run out: renew it`, error)
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return sentence(`the certificate of ${what} is for another name: correct ${setting}, or renew it`, error)
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_UNTRUSTED':
      return sentence(
        `the certificate of ${what} is of an authority that is not trusted: name the authority's file in storage.swift.cafile`,
        error,
      )
    default:
      if (code.startsWith('CERT_')) return sentence(`the certificate of ${what} is not good (${code}): renew it`, error)
      if (code.startsWith('HPE_')) return sentence(`${what} does not speak HTTP there: correct ${setting}`, error)
      return undefined
  }
}

function sentence(message: string, cause?: unknown): Error {
  return new Error(message, cause === undefined ? undefined : { cause })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
