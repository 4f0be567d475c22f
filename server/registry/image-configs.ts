import { buffer } from 'node:stream/consumers'
import { RegistryError } from '../oci/errors.ts'
import { isJsonObject } from '../oci/json.ts'
import type { ParsedManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Blobs } from './blobs.ts'

/** What an image's config tells of it (image specification, "Image Configuration"). */
export interface ImageConfig {
  labels: Map<string, string>
  history: HistoryEntry[]
}

/** One step of a build. */
export interface HistoryEntry {
  createdBy: string | undefined
  comment: string | undefined
  author: string | undefined
  created: Date | undefined
  /** Whether it made no layer. */
  empty: boolean
}

export interface ImageConfigs {
  /** The config of an image; undefined where there is none, or none that can be read. */
  read(repository: RepositoryName, manifest: ParsedManifest): Promise<ImageConfig | undefined>
}

const configTypes = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])
/** No config of an image is so large; a larger one is not read. */
const largest = 4 * 1024 * 1024

export function createImageConfigs({ blobs }: { blobs: Pick<Blobs, 'get'> }): ImageConfigs {
  return {
    async read(repository, { config }) {
      if (config === undefined || !configTypes.has(config.mediaType)) return undefined
      if (config.size === 0 || config.size > largest) return undefined
      const blob = await blobs.get(repository, config.digest).catch((error: unknown) => {
        if (error instanceof RegistryError && error.code === 'BLOB_UNKNOWN') return undefined
        throw error
      })
      if (blob === undefined || blob.size !== config.size) return undefined
      return parseConfig(await buffer(await blob.read({ first: 0, last: blob.size - 1 })))
    },
  }
}

/** Nobody has checked it: whatever is not as it should be is as good as missing. */
function parseConfig(bytes: Buffer): ImageConfig | undefined {
  const body = parsed(bytes)
  if (!isJsonObject(body)) return undefined
  const { config, history } = body
  const labels = isJsonObject(config) && isJsonObject(config['Labels']) ? config['Labels'] : {}
  const texts = Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return {
    labels: new Map(texts),
    history: Array.isArray(history) ? history.filter(isJsonObject).map(parseEntry) : [],
  }
}

function parseEntry(entry: Record<string, unknown>): HistoryEntry {
  const text = (key: string) => {
    const value = entry[key]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const created = new Date(text('created') ?? Number.NaN)
  return {
    createdBy: text('created_by'),
    comment: text('comment'),
    author: text('author'),
    created: Number.isNaN(created.getTime()) ? undefined : created,
    empty: entry['empty_layer'] === true,
  }
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
