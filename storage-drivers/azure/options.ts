/** What the Azure driver is made from. Sizes in bytes. */
export interface AzureOptions {
  accountName: string
  container: string
  credentials: AzureCredentials
  /** `https://ACCOUNT.blob.REALM`, unless `serviceUrl` says otherwise. */
  realm: string
  serviceUrl?: string
  /** The folder in the container; '' for none. */
  rootdirectory: string
  /** Bytes of a block. */
  chunkSize: number
  /** Blocks of one upload that are on their way at a time. */
  parallel: number
  /** Authorities that are trusted beside the well-known ones, PEM. */
  tls: { skipVerify: boolean; ca?: string }
  /** Whether a container that is missing is made at the start. */
  createContainer: boolean
}

export type AzureCredentials =
  | { type: 'shared_key'; accountKey: string }
  /** A signature that someone made: with a question mark in front or without. */
  | { type: 'sas_token'; token: string }
  | { type: 'client_secret'; tenantId: string; clientId: string; secret: string }
  /** What the machine has: environment, workload or managed identity, the tools of a developer. */
  | { type: 'default_credentials' }

/** Where the account is, without a slash at the end. */
export function serviceUrlOf({ accountName, realm, serviceUrl }: AzureOptions): string {
  return (serviceUrl ?? `https://${accountName}.blob.${realm}`).replace(/\/+$/, '')
}

/** What stands before a key in an object's name. */
export function prefixOf({ rootdirectory }: AzureOptions): string {
  const root = rootdirectory.replaceAll(/^\/+|\/+$/g, '')
  return root === '' ? '' : `${root}/`
}
