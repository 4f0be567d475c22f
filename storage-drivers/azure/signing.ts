import {
  BlobSASPermissions,
  type BlobSASSignatureValues,
  generateBlobSASQueryParameters,
  type SASQueryParameters,
  SASProtocol,
  StorageSharedKeyCredential,
  type UserDelegationKey,
} from '@azure/storage-blob'
import type { SignOptions } from '../driver.ts'
import { type AzureClient, protocolVersion } from './client.ts'
import { type AzureOptions, prefixOf, serviceUrlOf } from './options.ts'
import { askAgain } from './store.ts'

/** Makes a URL at which anyone may get an object, by its key, until it expires. */
export type Signer = (key: string, options: SignOptions) => Promise<string>

const dayMs = 24 * 60 * 60_000
/** What a key of an identity may be good for, with something left for clocks that differ. */
const longestKeyMs = 7 * dayMs - 60 * 60_000
/** A key is good from before now, for the same reason. */
const keyBeginsMs = 15 * 60_000

/** @returns undefined where there is no key to sign with: with a signature that somebody else has made */
export function createSigner(client: AzureClient, options: AzureOptions): Signer | undefined {
  if (options.credentials.type === 'sas_token') return undefined
  const sign = signatures(client, options)
  const serviceUrl = serviceUrlOf(options)

  return async (key, { expiresMs, endpoint }) => {
    const name = prefixOf(options) + key
    const base = endpoint === undefined ? serviceUrl : otherUrl(endpoint, serviceUrl)
    const signature = await sign({
      version: protocolVersion,
      containerName: options.container,
      blobName: name,
      permissions: BlobSASPermissions.from({ read: true }),
      expiresOn: new Date(Date.now() + expiresMs),
      protocol: base.startsWith('https:') ? SASProtocol.Https : SASProtocol.HttpsAndHttp,
    })
    const path = [options.container, ...name.split('/')].map(encodeURIComponent).join('/')
    return `${base}/${path}?${signature.toString()}`
  }
}

function signatures(
  { service, credential }: AzureClient,
  { accountName }: AzureOptions,
): (values: BlobSASSignatureValues & { expiresOn: Date }) => Promise<SASQueryParameters> {
  if (credential instanceof StorageSharedKeyCredential)
    return async values => generateBlobSASQueryParameters(values, credential)

  let key: Promise<UserDelegationKey> | undefined
  let ends = 0

  /** A key that is good until then, or for nearly as long as one may be; it is asked for once a day, or less often. */
  function keyUntil(then: number): Promise<UserDelegationKey> {
    const now = Date.now()
    const wanted = Math.min(then, now + longestKeyMs - dayMs)
    if (key === undefined || ends < wanted) {
      ends = wanted + dayMs
      const [begin, end] = [new Date(now - keyBeginsMs), new Date(ends)]
      const asked = askAgain(() => service.getUserDelegationKey(begin, end))
      key = asked
      asked.catch(() => {
        if (key === asked) key = undefined
      })
    }
    return key
  }

  return async values => {
    const key = await keyUntil(values.expiresOn.getTime())
    const expiresOn = new Date(Math.min(values.expiresOn.getTime(), key.signedExpiresOn.getTime()))
    return generateBlobSASQueryParameters({ ...values, expiresOn }, key, accountName)
  }
}

/** Another way to the service: its path stays as it was, unless the other one has a path of its own. */
function otherUrl(endpoint: string, serviceUrl: string): string {
  const url = new URL(endpoint)
  const path = url.pathname === '/' ? new URL(serviceUrl).pathname : url.pathname
  return `${url.origin}${path}`.replace(/\/+$/, '')
}
