import { LRUCache } from 'lru-cache'
import type { Database } from '../metadata/database.ts'
import { findManifest, findPayload, locateManifest } from '../metadata/manifests.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { createMemory } from './memory.ts'
import type { RepositoryMemory } from './repositories.ts'

export interface Manifest {
  digest: Digest
  mediaType: string
  /** Exactly as pushed. */
  bytes: Buffer
}

/** Manifests as pulls find them: from memory where that is sure to be right, or from the database. */
export interface ManifestMemory extends RepositoryMemory {
  /** What is remembered, for certain as it is now. */
  known(repository: RepositoryName, reference: Reference): Manifest | undefined
  /** What the database says. */
  fetch(repository: RepositoryName, reference: Reference): Promise<Manifest | undefined>
  /** Runs work after which these tags point elsewhere, or nowhere. */
  movingTags<T>(repository: RepositoryName, tags: readonly Tag[], work: () => Promise<T>): Promise<T>
  /** Runs work after which the manifest is gone, and every tag that pointed to it. */
  deleting<T>(repository: RepositoryName, digest: Digest, work: () => Promise<T>): Promise<T>
}

interface Remembered {
  /** Undefined once it is forgotten: a tag that still leads here counts as forgotten too. */
  manifest: Manifest | undefined
}

/** Bytes of manifests that are remembered. */
const mostBytes = 32 * 1024 * 1024
/** What an entry costs beside its bytes. */
const overhead = 500
const mostTags = 20_000
const mostManifests = 20_000

/** @param sole whether no other process changes the database */
export function createManifestMemory({ database, sole }: { database: Database; sole: boolean }): ManifestMemory {
  return sole ? ownMemory(database) : sharedDatabase(database)
}

const digestKey = (repository: RepositoryName, digest: Digest) => `${repository}@${digest}`
const tagKey = (repository: RepositoryName, tag: Tag) => `${repository}:${tag}`
/** A repository's name has neither of the two. */
const repositoryOf = (key: string) => key.slice(0, key.search(/[@:]/))

function ownMemory(database: Database): ManifestMemory {
  const byDigest = createMemory<Remembered>({
    max: mostManifests,
    weight: { most: mostBytes, of: ({ manifest }) => (manifest?.bytes.length ?? 0) + overhead },
    forgotten: remembered => (remembered.manifest = undefined),
  })
  const byTag = createMemory<Remembered>({ max: mostTags })

  async function fetch(repository: RepositoryName, reference: Reference): Promise<Manifest | undefined> {
    const since = { byTag: byTag.now(), byDigest: byDigest.now() }
    const row = await findManifest(database, repository, reference)
    if (row === undefined) return undefined
    const manifest = { digest: row.digest, mediaType: row.media_type, bytes: row.payload }
    const key = digestKey(repository, row.digest)
    const remembered = byDigest.get(key) ?? { manifest }
    if (byDigest.remember(key, remembered, since.byDigest) && reference.kind === 'tag')
      byTag.remember(tagKey(repository, reference.tag), remembered, since.byTag)
    return manifest
  }

  return {
    known(repository, reference) {
      const found =
        reference.kind === 'digest'
          ? byDigest.get(digestKey(repository, reference.digest))
          : byTag.get(tagKey(repository, reference.tag))
      return found?.manifest
    },
    fetch,
    movingTags: (repository, tags, work) =>
      byTag.changing(
        tags.map(tag => tagKey(repository, tag)),
        work,
      ),
    deleting: (repository, digest, work) => byDigest.changing([digestKey(repository, digest)], work),
    removing(gone, work) {
      const isGone = (key: string) => gone(repositoryOf(key))
      return byTag.changingAll(isGone, () => byDigest.changingAll(isGone, work))
    },
  }
}

/** Others change the database too: it is asked each time, but for the bytes, which never change. */
function sharedDatabase(database: Database): ManifestMemory {
  const payloads = new LRUCache<number, Buffer>({
    max: mostManifests,
    maxSize: mostBytes,
    sizeCalculation: bytes => bytes.length + overhead,
  })
  return {
    known: () => undefined,
    async fetch(repository, reference) {
      const row = await locateManifest(database, repository, reference)
      if (row === undefined) return undefined
      const bytes = payloads.get(row.id) ?? (await findPayload(database, row.id))
      // Cleaned up between the two questions.
      if (bytes === undefined) return undefined
      payloads.set(row.id, bytes)
      return { digest: row.digest, mediaType: row.media_type, bytes }
    },
    movingTags: (_repository, _tags, work) => work(),
    deleting: (_repository, _digest, work) => work(),
    // A row's number is never another manifest's.
    removing: (_gone, work) => work(),
  }
}
