/** The media types that the registry has to know; any other is stored as it comes. */
export const mediaTypes = {
  ociImage: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  dockerImage: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const

const images: ReadonlySet<string> = new Set([mediaTypes.ociImage, mediaTypes.dockerImage])
const indexes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerList])
const schema1: ReadonlySet<string> = new Set([mediaTypes.dockerSchema1, mediaTypes.dockerSchema1Signed])
/** What a client sends that does not know, or does not say, what it sends. */
const generic: ReadonlySet<string> = new Set(['application/json', 'application/octet-stream'])

export const isImageType = (type: string): boolean => images.has(type)
export const isIndexType = (type: string): boolean => indexes.has(type)
export const isSchema1Type = (type: string): boolean => schema1.has(type)
export const isGenericType = (type: string): boolean => generic.has(type)

/** Layers that need not be in the registry: their bytes are at the URLs of the descriptor. */
export function isNonDistributable(type: string): boolean {
  return type.includes('.nondistributable.') || type === 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
}

/** RFC 6838 section 4.2, with parameters behind a semicolon, which some artifacts carry. */
const pattern = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:\s*;[\x20-\x7e]*)?$/

export function isMediaType(text: string): boolean {
  return text.length <= 512 && pattern.test(text)
}

/** A media type without its parameters, in lower case, as headers are compared. */
export function bareMediaType(header: string | undefined): string | undefined {
  const bare = header?.split(';', 1)[0]?.trim().toLowerCase()
  return bare === '' ? undefined : bare
}
