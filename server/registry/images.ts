import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { type ParsedManifest, parseManifest } from '../oci/manifest.ts'
import { isIndexType, isNonDistributable } from '../oci/media-types.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { HistoryEntry, ImageConfigs } from './image-configs.ts'
import type { Manifests } from './manifests.ts'

/** A manifest as people look at it. */
export interface ManifestDescription {
  digest: Digest
  isIndex: boolean
  /** Its bytes as text. */
  text: string
  configMediaType: string | undefined
  /** Bytes of its layers; undefined for an index. */
  layersSize: number | undefined
  /** From the base up; undefined for an index. */
  layers: LayerDescription[] | undefined
}

/** A step of a build, with the layer that it made, or a layer of which nothing more is known. */
export interface LayerDescription {
  digest: string
  size: number
  /** Whether its bytes are elsewhere. */
  isRemote: boolean
  urls: string[] | undefined
  command: string[] | undefined
  comment: string | undefined
  author: string | undefined
  created: Date | undefined
}

export interface Images {
  /** @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN */
  describe(repository: RepositoryName, digest: Digest): Promise<ManifestDescription>
}

/** What a step that made no layer is shown with: the gzipped tar of nothing, as clients of old had it. */
const emptyLayer = {
  digest: 'sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4',
  size: 32,
  isRemote: false,
  urls: undefined,
}

export function createImages({ manifests, configs }: { manifests: Manifests; configs: ImageConfigs }): Images {
  return {
    async describe(repository, digest) {
      const { bytes, mediaType } = await manifests.get(repository, { kind: 'digest', digest })
      const manifest = parseManifest(bytes, mediaType)
      const isIndex = isIndexType(mediaType)
      const blobs = layersOf(manifest)
      const config = isIndex ? undefined : await configs.read(repository, manifest)
      return {
        digest,
        isIndex,
        text: bytes.toString('utf8'),
        configMediaType: manifest.config?.mediaType,
        layersSize: isIndex ? undefined : blobs.reduce((sum, { size }) => sum + size, 0),
        layers: isIndex ? undefined : describeLayers(blobs, config?.history ?? []),
      }
    },
  }
}

function layersOf({ blobs, config }: ParsedManifest): Descriptor[] {
  return config === undefined ? blobs : blobs.slice(1)
}

function describeLayers(layers: readonly Descriptor[], history: readonly HistoryEntry[]): LayerDescription[] {
  // A history that tells of other layers is of no use.
  const tells = history.filter(({ empty }) => !empty).length === layers.length
  if (!tells) return layers.map(layer => ({ ...partOf(layer), ...unknown }))
  const left = layers.values()
  return history.map(({ createdBy, comment, author, created, empty }) => {
    const layer = empty ? undefined : left.next().value
    const part = layer === undefined ? emptyLayer : partOf(layer)
    return { ...part, command: createdBy === undefined ? undefined : commandOf(createdBy), comment, author, created }
  })
}

function partOf({ digest, size, urls, mediaType }: Descriptor) {
  return { digest, size, isRemote: isNonDistributable(mediaType), urls: urls.length === 0 ? undefined : urls }
}

const unknown = { command: undefined, comment: undefined, author: undefined, created: undefined }

/** Some builders write a list of arguments, as JSON; most write a line. */
function commandOf(createdBy: string): string[] {
  try {
    const list: unknown = JSON.parse(createdBy)
    if (Array.isArray(list) && list.every(word => typeof word === 'string')) return list
  } catch {
    // A line.
  }
  return [createdBy]
}
