import type { Actor } from '../access/actor.ts'
import { lockBlobs } from '../metadata/blobs.ts'
import type { Database, Queryable } from '../metadata/database.ts'
import { findManifest, findManifestEver, lockManifests, putManifest, removeManifest } from '../metadata/manifests.ts'
import { findRepository, type RepositoryId } from '../metadata/repositories.ts'
import { createTag, lockTag, pointTag } from '../metadata/tags.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { RegistryError, RegistryErrors } from '../oci/errors.ts'
import { manifestLimit, type ParsedManifest, parseManifest } from '../oci/manifest.ts'
import type { Reference, Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Manifest, ManifestMemory } from './manifest-memory.ts'
import type { Repositories } from './repositories.ts'
import { checkCondition, type TagCondition } from './tag-conditions.ts'
import { checkUrls, type ManifestRules, mustBeStored, requirementsOf } from './manifest-rules.ts'

export interface ManifestPush {
  by: Actor
  bytes: Uint8Array
  /** The request's Content-Type. */
  contentType: string | undefined
  /** Tags to set beside what the reference says (`?tag=`). */
  tags?: readonly Tag[]
  condition?: TagCondition | undefined
  /** Whether the tags are brought back to what they were. */
  reversion?: boolean
}

export interface PushedManifest {
  digest: Digest
  subject: Digest | undefined
}

export interface Manifests {
  /** Without a promise where it is in memory. @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN */
  get(repository: RepositoryName, reference: Reference): Manifest | Promise<Manifest>
  /**
   * Stores a manifest and moves tags to it, all in one transaction.
   * @throws RegistryError MANIFEST_INVALID (413 over 4 MiB; 412 when the condition does not hold), DIGEST_INVALID;
   *   RegistryErrors with a MANIFEST_BLOB_UNKNOWN for each thing missing
   */
  put(repository: RepositoryName, reference: Reference, push: ManifestPush): Promise<PushedManifest>
  /**
   * Lets a tag point to a manifest that the repository has or had; one that was deleted comes back.
   * @throws RegistryError MANIFEST_UNKNOWN; MANIFEST_INVALID when what the manifest needs is not there any more
   */
  restore(repository: RepositoryName, digest: Digest, restoration: { tag: Tag; by: Actor }): Promise<void>
  /**
   * Deletes a manifest and all its tags.
   * @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN; MANIFEST_INVALID 412 when the condition does not hold
   */
  delete(repository: RepositoryName, digest: Digest, condition?: TagCondition): Promise<void>
}

export interface ManifestsOptions {
  database: Database
  repositories: Repositories
  memory: ManifestMemory
  rules: ManifestRules
}

export function createManifests({ database, repositories, memory, rules }: ManifestsOptions): Manifests {
  async function fetch(repository: RepositoryName, reference: Reference): Promise<Manifest> {
    const manifest = await memory.fetch(repository, reference)
    if (manifest === undefined) throw await unknown(repository, reference)
    return manifest
  }

  async function unknown(repository: RepositoryName, reference: Reference): Promise<RegistryError> {
    if ((await findRepository(database, repository)) === undefined)
      return new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
    return new RegistryError('MANIFEST_UNKNOWN', {
      detail: reference.kind === 'tag' ? { tag: reference.tag } : { digest: reference.digest },
    })
  }

  /** The repository's id, made if there is none: but not for a push that must fail, which would leave an empty one. */
  async function repositoryFor(
    name: RepositoryName,
    manifest: ParsedManifest,
    { by, condition }: Pick<ManifestPush, 'by' | 'condition'>,
  ): Promise<RepositoryId> {
    const id = await findRepository(database, name)
    if (id !== undefined) return id
    const { blobs, children } = requirementsOf(manifest, rules)
    if (blobs.length + children.length > 0) throw missingContent([...blobs, ...children])
    checkCondition(condition, undefined)
    return repositories.ensure(name, by)
  }

  const operations: Manifests = {
    get: (repository, reference) => memory.known(repository, reference) ?? fetch(repository, reference),

    async put(repository, reference, { by, bytes, contentType, tags = [], condition, reversion }) {
      if (bytes.byteLength > manifestLimit) throw tooLarge()
      const digest = digestOf(bytes, reference.kind === 'digest' ? algorithmOf(reference.digest) : 'sha256')
      if (reference.kind === 'digest' && reference.digest !== digest) {
        throw new RegistryError('DIGEST_INVALID', {
          message: 'the manifest does not have the digest that was given',
          detail: { expected: reference.digest, actual: digest },
        })
      }
      const manifest = parseManifest(bytes, contentType)
      checkUrls(manifest.blobs, rules)
      const contentSize = contentSizeOf(manifest)
      const repositoryId = await repositoryFor(repository, manifest, { by, condition })
      // In one order for all: two pushes with the same tags must not wait for each other crosswise.
      const moved = [...new Set(reference.kind === 'tag' ? [reference.tag] : tags)].toSorted()
      const push = async (tx: Queryable) => {
        const existing = condition && (await findManifest(tx, repository, { kind: 'digest', digest }))?.digest
        const content = await requireContent(tx, repositoryId, { manifest, rules })
        const id = await putManifest(tx, repositoryId, {
          ...manifest,
          digest,
          payload: bytes,
          contentSize,
          ...content,
          children: digestsOf(manifest.children),
        })
        if (id === undefined) throw otherType(manifest.mediaType)
        if (reference.kind === 'digest') checkCondition(condition, existing)
        for (const tag of moved) {
          if (reference.kind === 'tag') await moveTag(tx, repositoryId, { tag, manifest: id, condition })
          else await pointTag(tx, repositoryId, tag, id, { reversion })
        }
      }
      await memory.movingTags(repository, moved, () => database.transaction(push))
      return { digest, subject: manifest.subject }
    },

    async restore(repository, digest, { tag, by }) {
      const row = await findManifestEver(database, repository, digest)
      if (row === undefined) throw await unknown(repository, { kind: 'digest', digest })
      const push = { by, bytes: row.payload, contentType: row.media_type, tags: [tag], reversion: true }
      await operations.put(repository, { kind: 'digest', digest }, push).catch((error: unknown) => {
        if (!(error instanceof RegistryErrors)) throw error
        const missing = error.errors.map(({ detail }) => detail)
        const message = 'what the manifest needs is not in the repository any more'
        throw new RegistryError('MANIFEST_INVALID', { message, detail: missing, cause: error })
      })
    },

    async delete(repository, digest, condition) {
      checkCondition(condition, digest)
      const tags = await memory.deleting(repository, digest, () =>
        database.transaction(tx => removeManifest(tx, repository, digest)),
      )
      if (tags === undefined) throw await unknown(repository, { kind: 'digest', digest })
    },
  }
  return operations
}

/** The error for a body that is over the limit, wherever that is noticed. */
export function tooLarge(): RegistryError {
  return new RegistryError('MANIFEST_INVALID', {
    status: 413,
    message: `manifest invalid: it is larger than ${manifestLimit} bytes`,
  })
}

/**
 * Makes sure that all is there that a manifest relies on, and stays while the transaction runs.
 * @returns the ids of its blobs, and the digests of those that may be absent and are
 */
async function requireContent(
  tx: Queryable,
  repository: RepositoryId,
  { manifest, rules }: { manifest: ParsedManifest; rules: ManifestRules },
): Promise<{ blobs: number[]; absentBlobs: Digest[] }> {
  const required = requirementsOf(manifest, rules)
  const stored = manifest.blobs.filter(mustBeStored)
  const children = digestsOf(manifest.children)
  const manifests = new Map(
    (children.length === 0 ? [] : await lockManifests(tx, repository, children)).map(({ digest, size }) => [
      digest,
      size,
    ]),
  )
  // The caches of builds are indexes of blobs.
  const others = children.filter(digest => !manifests.has(digest))
  const found = await lockBlobs(tx, repository, [...digestsOf(stored), ...others])
  const sizes = new Map([...manifests, ...found.map(blob => [blob.digest, blob.size] as const)])
  const missing = [...required.blobs, ...required.children].filter(digest => !sizes.has(digest))
  if (missing.length > 0) throw missingContent(missing)
  const wrong = [...stored, ...manifest.children].find(({ digest, size }) => (sizes.get(digest) ?? size) !== size)
  if (wrong !== undefined) {
    throw new RegistryError('MANIFEST_INVALID', {
      message: `manifest invalid: it gives ${wrong.size} as the size of content that has ${sizes.get(wrong.digest)} bytes`,
      detail: { digest: wrong.digest },
    })
  }
  return { blobs: found.map(blob => blob.id), absentBlobs: digestsOf(stored).filter(digest => !sizes.has(digest)) }
}

function otherType(mediaType: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', {
    message: `manifest invalid: this repository has the same bytes under another media type than ${mediaType}`,
  })
}

function missingContent(digests: readonly Digest[]): RegistryErrors {
  return new RegistryErrors(
    [...new Set(digests)].map(digest => new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: { digest } })),
  )
}

/** Bytes of config and layers, each counted once. @throws RegistryError MANIFEST_INVALID when no one can have so many */
function contentSizeOf({ blobs }: ParsedManifest): number {
  const sizes = new Map(blobs.filter(mustBeStored).map(({ digest, size }) => [digest, size]))
  const sum = [...sizes.values()].reduce((total, size) => total + size, 0)
  if (!Number.isSafeInteger(sum))
    throw new RegistryError('MANIFEST_INVALID', {
      message: 'manifest invalid: the sum of its sizes is not to be believed',
    })
  return sum
}

async function moveTag(
  tx: Queryable,
  repository: RepositoryId,
  { tag, manifest, condition }: { tag: Tag; manifest: number; condition: TagCondition | undefined },
): Promise<void> {
  if (condition === undefined) return pointTag(tx, repository, tag, manifest)
  for (;;) {
    const current = await lockTag(tx, repository, tag)
    checkCondition(condition, current)
    if (current !== undefined) return pointTag(tx, repository, tag, manifest)
    // Nothing keeps another push from beginning the tag meanwhile: then the condition is looked at again.
    if (await createTag(tx, repository, tag, manifest)) return
  }
}

function digestsOf(descriptors: readonly Descriptor[]): Digest[] {
  return [...new Set(descriptors.map(descriptor => descriptor.digest))]
}
