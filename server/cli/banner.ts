import type { StorageOptions } from '../../storage-drivers/index.ts'
import type { Config } from '../config/config.ts'

/** What a person sees who has just started a registry: where it is, where its data is, how to use it, who may. */
export function banner({ data, storage, http, auth }: Config, addresses: readonly string[]): string {
  const [first = ''] = addresses
  const blobs = placeOf(storage.driver)
  return [
    '',
    `Berth serves at ${addresses.join(' and ')}${http.prefix === '/' ? '' : `, below ${http.prefix}`}`,
    `Data: ${data}${blobs === data ? '' : `; blobs: ${blobs}`}`,
    ...(first.startsWith('http') ? howToPush(first, { http, auth }) : []),
    auth === undefined
      ? `There are no accounts: open to everyone ${whoReaches(addresses)}, to read and to write.`
      : whoMay(auth),
    '',
    '',
  ].join('\n')
}

/** Where blobs are: a folder, or what a person calls the place of an object store. */
function placeOf(driver: StorageOptions): string {
  switch (driver.name) {
    case 'filesystem':
      return driver.options.rootdirectory
    case 's3':
      return `the bucket ${driver.options.bucket} at ${driver.options.endpoint ?? `Amazon S3, ${driver.options.region}`}`
    case 'swift':
      return `the container ${driver.options.container} of ${driver.options.auth.url}`
    case 'azure':
      return `the container ${driver.options.container} of the account ${driver.options.accountName} at Azure`
    default:
      return driver satisfies never
  }
}

/** Who may do what, in a line. */
function whoMay({ htpasswd, token, access, accounts }: NonNullable<Config['auth']>): string {
  const rules = access === undefined ? 'everything' : `what ${access.path} allows`
  if (accounts !== undefined) return 'There are accounts: berth user create makes one.'
  if (token !== undefined) return `Who has a token of ${token.issuer} may do what it says.`
  if (htpasswd !== undefined) return `Who has a password in ${htpasswd.path} may do ${rules}.`
  return `Who has a client certificate may do ${rules}.`
}

function howToPush(
  address: string,
  { http: { host, tls, prefix }, auth }: { http: Config['http']; auth: Config['auth'] | undefined },
): string[] {
  const url = host?.replace(/\/$/, '') ?? reachable(address)
  const password = auth?.htpasswd === undefined && auth?.accounts === undefined ? '' : '-u NAME '
  const curl = `  curl ${tls === undefined ? '' : '--cacert CA.pem '}${password}${url}${prefix}v2/_catalog`
  // Image names have no room for a path before that of the repository: there a proxy has to take the prefix away.
  if (prefix !== '/') return ['Look at it:', curl]
  const name = url.replace(/^https?:\/\//, '')
  const insecure = tls === undefined ? '--tls-verify=false ' : ''
  return [
    'Push a first image:',
    ...(password === '' ? [] : [`  podman login ${insecure}${name}`]),
    `  podman push ${insecure}IMAGE ${name}/hello:1`,
    `  docker tag IMAGE ${name}/hello:1 && docker push ${name}/hello:1`,
    curl,
  ]
}

/** An address that a client on this machine can use: the one that stands for all of them is none. */
function reachable(address: string): string {
  return address.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//127.0.0.1:')
}

function whoReaches(addresses: readonly string[]): string {
  if (addresses.every(address => address.startsWith('/'))) return 'who may open the socket'
  return addresses.every(address => /\/\/(127\.|\[::1\]|localhost)/.test(address))
    ? 'on this host'
    : 'who can reach this address'
}
