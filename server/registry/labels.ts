import { createHash } from 'node:crypto'
import type { Database } from '../metadata/database.ts'
import { addLabel, findLabel, type LabelRow, listLabels, removeLabel } from '../metadata/labels.ts'
import { findManifest, locateManifest } from '../metadata/manifests.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { ImageConfigs } from './image-configs.ts'

export interface Label {
  id: string
  key: string
  value: string
  mediaType: string
  /** Whether it is of the image's config, or was given to the manifest by someone (`api`). */
  source: 'manifest' | 'api'
}

export interface NewLabel {
  key: string
  value: string
  /** Found out from the value when undefined. */
  mediaType: string | undefined
}

/** Labels of manifests: those of an image's config, which never change, and those that people give them. */
export interface Labels {
  /** All whose keys begin so. @throws RegistryError MANIFEST_UNKNOWN */
  list(repository: RepositoryName, digest: Digest, prefix: string): Promise<Label[]>
  /** Undefined when the manifest has no such label. @throws RegistryError MANIFEST_UNKNOWN */
  get(repository: RepositoryName, digest: Digest, id: string): Promise<Label | undefined>
  /** @throws RegistryError MANIFEST_UNKNOWN; MANIFEST_INVALID for a key that no label may have, and for too many labels */
  add(repository: RepositoryName, digest: Digest, label: NewLabel): Promise<Label>
  /**
   * @returns false when the manifest has no such label
   * @throws RegistryError MANIFEST_UNKNOWN; MANIFEST_INVALID for a label of the config
   */
  remove(repository: RepositoryName, digest: Digest, id: string): Promise<boolean>
}

const keyPattern = /^[a-z0-9]+(?:[-.][a-z0-9]+)*$/
const longestKey = 255
/** Keys that mean something to programs are not for everyone to set (Quay's list). */
const reservedPrefixes = [
  'com.docker.',
  'io.docker.',
  'org.dockerproject.',
  'org.opencontainers.',
  'io.cncf.',
  'io.kubernetes.',
  'io.k8s.',
  'io.quay',
  'com.coreos',
  'com.tectonic',
  'internal',
  'quay',
]
/** Labels that people may give to one manifest, and of a config that are shown. */
const most = 500

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createLabels({ database, configs }: { database: Database; configs: ImageConfigs }): Labels {
  async function idOf(repository: RepositoryName, digest: Digest): Promise<number> {
    const place = await locateManifest(database, repository, { kind: 'digest', digest })
    if (place === undefined) throw unknown(digest)
    return place.id
  }

  /** The manifest's number, and the labels of its config. */
  async function read(repository: RepositoryName, digest: Digest): Promise<{ id: number; labels: Label[] }> {
    const row = await findManifest(database, repository, { kind: 'digest', digest })
    if (row === undefined) throw unknown(digest)
    const config = await configs.read(repository, parseManifest(row.payload, row.media_type))
    const labels = [...(config?.labels ?? [])].slice(0, most).map(([key, value]): Label => {
      return { id: idOfConfigs(digest, key), key, value, mediaType: typeOf(value), source: 'manifest' }
    })
    return { id: row.id, labels }
  }

  return {
    async list(repository, digest, prefix) {
      const { id, labels } = await read(repository, digest)
      const given = await listLabels(database, id, { prefix, limit: most })
      return [...labels.filter(({ key }) => key.startsWith(prefix)), ...given.map(labelOf)]
    },

    async get(repository, digest, id) {
      if (!uuid.test(id)) return undefined
      const { id: manifest, labels } = await read(repository, digest)
      const given = await findLabel(database, manifest, id)
      return given === undefined ? labels.find(label => label.id === id) : labelOf(given)
    },

    async add(repository, digest, { key, value, mediaType = typeOf(value) }) {
      checkKey(key)
      const manifest = await idOf(repository, digest)
      const row = await addLabel(database, manifest, { key, value, media_type: mediaType }, { most })
      if (row === undefined) throw invalid(`a manifest can be given ${most} labels at most`)
      return labelOf(row)
    },

    async remove(repository, digest, id) {
      if (!uuid.test(id)) return false
      const { id: manifest, labels } = await read(repository, digest)
      if (labels.some(label => label.id === id)) throw invalid('a label of the image itself can not be removed')
      return removeLabel(database, manifest, id)
    },
  }
}

function labelOf({ id, key, value, media_type: mediaType }: LabelRow): Label {
  return { id, key, value, mediaType, source: 'api' }
}

/** Always the same for the same label. */
function idOfConfigs(digest: Digest, key: string): string {
  const hash = createHash('sha256').update(`${digest} ${key}`).digest('hex')
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-')
}

function checkKey(key: string): void {
  if (reservedPrefixes.some(prefix => key.startsWith(prefix))) throw invalid('Label has a reserved prefix')
  if (key.length > longestKey || !keyPattern.test(key))
    throw invalid(`the key of a label has lower-case letters and digits with . or - between them, ${longestKey} in all`)
}

function typeOf(value: string): string {
  if (!/^\s*[[{]/.test(value)) return 'text/plain'
  try {
    JSON.parse(value)
    return 'application/json'
  } catch {
    return 'text/plain'
  }
}

function unknown(digest: Digest): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', { detail: { digest } })
}

function invalid(message: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { message })
}
