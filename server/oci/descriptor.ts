import { algorithmOf, type Digest, digestOf, isDigest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { isJsonObject } from './json.ts'
import { isMediaType } from './media-types.ts'

/** What a manifest says of content that it refers to (image specification, "OCI Content Descriptors"). */
export interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  urls: string[]
  artifactType: string | undefined
  platform: { os: string | undefined; architecture: string | undefined } | undefined
}

/**
 * Checks one descriptor of a manifest.
 * @param where its place, for the message: `layers[3]`
 * @throws RegistryError MANIFEST_INVALID
 */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  if (!isJsonObject(value)) throw invalidManifest(`${where} must be a descriptor, an object`)
  const { mediaType, digest, size, urls, artifactType, platform, annotations, data } = value
  if (typeof mediaType !== 'string' || !isMediaType(mediaType))
    throw invalidManifest(`${where}.mediaType must be a media type`)
  if (typeof digest !== 'string' || !isDigest(digest))
    throw invalidManifest(`${where}.digest must be a sha256 or sha512 digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalidManifest(`${where}.size must be a whole number of bytes, zero or more`)
  if (data !== undefined && data !== null) checkData(data, { digest, size }, where)
  parseAnnotations(annotations, `${where}.annotations`)
  return {
    mediaType,
    digest,
    size,
    urls: parseUrls(urls, where),
    artifactType: parseArtifactType(artifactType, where),
    platform: parsePlatform(platform, where),
  }
}

/** @throws RegistryError MANIFEST_INVALID */
export function parseAnnotations(value: unknown, where: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  if (!isJsonObject(value) || !isTextMap(value)) throw invalidManifest(`${where} must map strings to strings`)
  return value
}

/** An empty artifact type is as good as none. @throws RegistryError MANIFEST_INVALID */
export function parseArtifactType(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || !isMediaType(value))
    throw invalidManifest(`${where} artifactType must be a media type`)
  return value
}

export function invalidManifest(reason: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { message: `manifest invalid: ${reason}` })
}

function isTextMap(value: Record<string, unknown>): value is Record<string, string> {
  return Object.values(value).every(entry => typeof entry === 'string')
}

function parseUrls(value: unknown, where: string): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || !value.every(url => typeof url === 'string'))
    throw invalidManifest(`${where}.urls must be a list of strings`)
  return value
}

function parsePlatform(value: unknown, where: string): Descriptor['platform'] {
  if (value === undefined || value === null) return undefined
  if (!isJsonObject(value)) throw invalidManifest(`${where}.platform must be an object`)
  const text = (key: string) => {
    const entry = value[key]
    if (entry !== undefined && typeof entry !== 'string')
      throw invalidManifest(`${where}.platform.${key} must be a string`)
    return entry
  }
  return { os: text('os'), architecture: text('architecture') }
}

/** Embedded content (`data`) has to be what the descriptor says, or clients that trust it are misled. */
function checkData(data: unknown, { digest, size }: { digest: Digest; size: number }, where: string): void {
  if (typeof data !== 'string') throw invalidManifest(`${where}.data must be base64 text`)
  const bytes = Buffer.from(data, 'base64')
  // Node reads over what is not base64; a client that does not would fail at the whole manifest.
  if (bytes.toString('base64') !== data) throw invalidManifest(`${where}.data must be base64 text (RFC 4648 section 4)`)
  if (bytes.length !== size || digestOf(bytes, algorithmOf(digest)) !== digest)
    throw invalidManifest(`${where}.data is not the content that its digest and size describe`)
}
