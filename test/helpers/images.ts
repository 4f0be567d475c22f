/** Tiny images and artifacts, as the bytes that go over the wire. Nothing here speaks to a registry. */
import { randomBytes } from 'node:crypto'
import { type Digest, type DigestAlgorithm, digestOf } from '../../server/oci/digest.ts'

/** Content with its address and its type. */
export interface Content {
  bytes: Buffer
  digest: Digest
  mediaType: string
}

/** A reference to content, as manifests hold it. */
export interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  platform?: { os: string; architecture: string }
  artifactType?: string
  annotations?: Record<string, string>
}

export const imageType = 'application/vnd.oci.image.manifest.v1+json'
export const indexType = 'application/vnd.oci.image.index.v1+json'
export const configType = 'application/vnd.oci.image.config.v1+json'
export const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const emptyType = 'application/vnd.oci.empty.v1+json'

/** Bytes as content. */
export function contentOf(bytes: Buffer | string, mediaType: string, algorithm: DigestAlgorithm = 'sha256'): Content {
  const buffer = Buffer.from(bytes)
  return { bytes: buffer, digest: digestOf(buffer, algorithm), mediaType }
}

/** A value written as JSON. */
export function jsonContent(value: unknown, mediaType: string, algorithm?: DigestAlgorithm): Content {
  return contentOf(JSON.stringify(value), mediaType, algorithm)
}

/** A blob of so many random bytes. */
export function randomBlob(size = 1000, algorithm?: DigestAlgorithm): Content {
  return contentOf(randomBytes(size), layerType, algorithm)
}

export function descriptorOf({ bytes, digest, mediaType }: Content, rest: Partial<Descriptor> = {}): Descriptor {
  return { mediaType, digest, size: bytes.length, ...rest }
}

export interface Image {
  manifest: Content
  config: Content
  layers: Content[]
  /** Config and layers: what has to be in the repository before the manifest. */
  blobs: Content[]
}

export interface ImageOptions {
  layers?: readonly Content[]
  architecture?: string
  subject?: Content
  annotations?: Record<string, string>
  algorithm?: DigestAlgorithm
}

/** An image with one random layer, or with the layers given. */
export function image(options: ImageOptions = {}): Image {
  const { architecture = 'amd64', subject, annotations, algorithm } = options
  const layers = [...(options.layers ?? [randomBlob(1000, algorithm)])]
  const diffIds = layers.map(layer => layer.digest)
  const config = jsonContent(
    { architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } },
    configType,
    algorithm,
  )
  const manifest = jsonContent(
    {
      schemaVersion: 2,
      mediaType: imageType,
      config: descriptorOf(config),
      layers: layers.map(layer => descriptorOf(layer)),
      ...(subject === undefined ? {} : { subject: descriptorOf(subject) }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    imageType,
    algorithm,
  )
  return { manifest, config, layers, blobs: [config, ...layers] }
}

/** An index of manifests: images by architecture, or anything. */
export function index(
  children: readonly Content[],
  { subject, annotations }: { subject?: Content; annotations?: Record<string, string> } = {},
): Content {
  return jsonContent(
    {
      schemaVersion: 2,
      mediaType: indexType,
      manifests: children.map(child => descriptorOf(child)),
      ...(subject === undefined ? {} : { subject: descriptorOf(subject) }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    indexType,
  )
}

/** An artifact that refers to a subject: its config is the empty one, and so is its layer unless some are given. */
export function artifact(
  artifactType: string,
  options: { subject?: Content; layers?: readonly Content[]; annotations?: Record<string, string> } = {},
): Image {
  const { subject, annotations } = options
  const config = contentOf('{}', emptyType)
  const layers = [...(options.layers ?? [config])]
  const manifest = jsonContent(
    {
      schemaVersion: 2,
      mediaType: imageType,
      artifactType,
      config: descriptorOf(config),
      layers: layers.map(layer => descriptorOf(layer)),
      ...(subject === undefined ? {} : { subject: descriptorOf(subject) }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    imageType,
  )
  return { manifest, config, layers, blobs: [...new Set([config, ...layers])] }
}
