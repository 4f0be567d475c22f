import { type Descriptor, invalidManifest, parseAnnotations, parseArtifactType, parseDescriptor } from './descriptor.ts'
import type { Digest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { type JsonObject, parseJsonObject } from './json.ts'
import {
  bareMediaType,
  isGenericType,
  isImageType,
  isIndexType,
  isMediaType,
  isSchema1Type,
  mediaTypes,
} from './media-types.ts'

/** What the registry needs to know of a manifest. The bytes themselves are never written anew. */
export interface ParsedManifest {
  mediaType: string
  /** As the referrers API shows it: the manifest's own, or an image's config media type. */
  artifactType: string | undefined
  subject: Digest | undefined
  annotations: Record<string, string> | undefined
  config: Descriptor | undefined
  /** Config and layers, in the order of the manifest. */
  blobs: Descriptor[]
  /** The children of an index. */
  children: Descriptor[]
}

/** The largest manifest taken (distribution spec, "Pushing Manifests": at least 4 MiB). */
export const manifestLimit = 4 * 1024 * 1024

/**
 * Reads a manifest of any kind. Images and indexes have to have their shape; of other JSON (an artifact manifest of
 * yesterday or of tomorrow) whatever bears a name with a meaning is checked and noted.
 * @param contentType the request's header
 * @throws RegistryError MANIFEST_INVALID
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): ParsedManifest {
  const body = parseJsonObject(bytes)
  const mediaType = manifestType(body, bareMediaType(contentType))
  if (body['schemaVersion'] === 1 || isSchema1Type(mediaType)) {
    throw new RegistryError('MANIFEST_INVALID', {
      message:
        'manifest invalid: schema 1 is not taken any more; push the image with a client of 2017 or later (schema 2 or OCI)',
    })
  }
  if (isImageType(mediaType)) checkImage(body)
  if (isIndexType(mediaType)) checkIndex(body)

  const config = body['config'] === undefined ? [] : [parseDescriptor(body['config'], 'config')]
  const blobs = [
    ...config,
    ...descriptors(body, 'layers'),
    ...(isImageType(mediaType) ? [] : descriptors(body, 'blobs')),
  ]
  const subject =
    body['subject'] === undefined || body['subject'] === null ? undefined : parseDescriptor(body['subject'], 'subject')
  const artifactType = parseArtifactType(body['artifactType'], 'the manifest’s')
  return {
    mediaType,
    artifactType: artifactType ?? (isIndexType(mediaType) ? undefined : config[0]?.mediaType),
    subject: subject?.digest,
    annotations: parseAnnotations(body['annotations'], 'annotations'),
    config: config[0],
    blobs,
    children: isImageType(mediaType) ? [] : descriptors(body, 'manifests'),
  }
}

/** The type is the header's; where that says nothing of use, the body's own `mediaType`, or its shape. It comes without
 * parameters and in lower case. */
function manifestType(body: JsonObject, header: string | undefined): string {
  const written = body['mediaType']
  if (written !== undefined && (typeof written !== 'string' || !isMediaType(written)))
    throw invalidManifest('mediaType must be a media type')
  const own = bareMediaType(written)
  const type = header === undefined || isGenericType(header) ? (own ?? typeByShape(body)) : header
  if (type === undefined)
    throw invalidManifest('its kind is not known: send its media type as Content-Type, or say it in "mediaType"')
  if (own !== undefined && own !== type)
    throw invalidManifest(`the Content-Type is ${type}, but "mediaType" says ${own}`)
  // It is served under this type: under text/html, say, a browser would run what is in it.
  if (!isMediaType(type) || isGenericType(type) || !(/[+/]json$/.test(type) || isSchema1Type(type)))
    throw invalidManifest(`${type} is not the media type of a manifest`)
  return type
}

function typeByShape(body: JsonObject): string | undefined {
  if (body['schemaVersion'] === 1) return mediaTypes.dockerSchema1
  if (Array.isArray(body['manifests'])) return mediaTypes.ociIndex
  if (body['config'] !== undefined && Array.isArray(body['layers'])) return mediaTypes.ociImage
  return undefined
}

function checkImage(body: JsonObject): void {
  if (body['schemaVersion'] !== 2) throw invalidManifest('schemaVersion must be 2')
  if (body['config'] === undefined) throw invalidManifest('an image manifest has a config')
  // null is what Go writes for a list that was never filled.
  if (!Array.isArray(body['layers']) && body['layers'] !== null)
    throw invalidManifest('an image manifest has a list of layers')
  // Readers that go by the fields and readers that go by the type would take it for different things.
  if (body['manifests'] !== undefined) throw invalidManifest('an image manifest has no list of manifests')
}

function checkIndex(body: JsonObject): void {
  if (body['schemaVersion'] !== 2) throw invalidManifest('schemaVersion must be 2')
  if (!Array.isArray(body['manifests']) && body['manifests'] !== null)
    throw invalidManifest('an index has a list of manifests')
  if (body['config'] !== undefined || body['layers'] !== undefined)
    throw invalidManifest('an index has no config and no layers')
}

function descriptors(body: JsonObject, key: string): Descriptor[] {
  const list = body[key]
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) throw invalidManifest(`${key} must be a list`)
  return list.map((entry, index) => parseDescriptor(entry, `${key}[${index}]`))
}
