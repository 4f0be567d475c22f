/** What the Swift driver is made from. Sizes in bytes. */
export interface SwiftOptions {
  auth: SwiftAuth
  /** Which of the catalog's entries is taken: its region, and who it is for. */
  region?: string
  endpointType: 'public' | 'internal' | 'admin'
  /** The URL of the account, where the one of the catalog is not to be used. */
  storageUrl?: string
  container: string
  /** The folder in the container; '' for none. */
  prefix: string
  /** Bytes of a segment. */
  chunkSize: number
  /** Segments of one upload that are on their way at a time. */
  parallel: number
  tls: { skipVerify: boolean; ca?: string }
  /** The key of temporary URLs. Without one the container's or the account's is used, or one is made and set there. */
  tempUrl: { key?: string; containerKey: boolean; methods?: readonly string[] }
  /** Whether a container that is missing is made at the start. */
  createContainer: boolean
}

export interface SwiftAuth {
  url: string
  /** Which version of the API; told from the URL and from what is given when left out. */
  version?: 1 | 2 | 3
  username?: string
  userId?: string
  password?: string
  tenant?: string
  tenantId?: string
  /** Of the user. */
  domain?: string
  domainId?: string
  /** Of the tenant (project). */
  tenantDomain?: string
  tenantDomainId?: string
  trustId?: string
  applicationCredential?: { id?: string; name?: string; secret: string }
}
