import { lockBlobs } from '../metadata/blobs.ts'
import type { Database, Queryable } from '../metadata/database.ts'
import { findManifest, lockManifests, putManifest, removeManifest } from '../metadata/manifests.ts'
import { ensureRepository, findRepository, type RepositoryId } from '../metadata/repositories.ts'
import { createTag, lockTag, pointTag } from '../metadata/tags.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { RegistryError, RegistryErrors } from '../oci/errors.ts'
import { manifestLimit, type ParsedManifest, parseManifest } from '../oci/manifest.ts'
import type { Reference, Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { checkUrls, type ManifestRules, mustBePushedFirst, mustBeStored } from './manifest-rules.ts'

export interface Manifest {
  digest: Digest
  mediaType: string
  /** Exactly as pushed. */
  bytes: Buffer
}

/** A condition on where a tag points before it is moved (RFC 9110 section 13.1). */
export type TagCondition =
  | { kind: 'absent' }
  | { kind: 'present' }
  | { kind: 'one of'; digests: readonly string[] }
  | { kind: 'none of'; digests: readonly string[] }

export interface ManifestPush {
  bytes: Uint8Array
  /** The request's Content-Type. */
  contentType: string | undefined
  /** Tags to set beside what the reference says (`?tag=`). */
  tags?: readonly Tag[]
  condition?: TagCondition | undefined
}

export interface PushedManifest {
  digest: Digest
  subject: Digest | undefined
}

export interface Manifests {
  /** @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN */
  get(repository: RepositoryName, reference: Reference): Promise<Manifest>
  /**
   * Stores a manifest and moves tags to it, all in one transaction.
   * @throws RegistryError MANIFEST_INVALID (413 over 4 MiB; 412 when the condition does not hold), DIGEST_INVALID;
   *   RegistryErrors with a MANIFEST_BLOB_UNKNOWN for each thing missing
   */
  put(repository: RepositoryName, reference: Reference, push: ManifestPush): Promise<PushedManifest>
  /** Deletes a manifest and all its tags. @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN */
  delete(repository: RepositoryName, digest: Digest): Promise<void>
}

export function createManifests({ database, rules }: { database: Database; rules: ManifestRules }): Manifests {
  async function unknown(repository: RepositoryName, reference: Reference): Promise<RegistryError> {
    if ((await findRepository(database, repository)) === undefined)
      return new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
    return new RegistryError('MANIFEST_UNKNOWN', {
      detail: reference.kind === 'tag' ? { tag: reference.tag } : { digest: reference.digest },
    })
  }

  return {
    async get(repository, reference) {
      const row = await findManifest(database, repository, reference)
      if (row === undefined) throw await unknown(repository, reference)
      return { digest: row.digest, mediaType: row.media_type, bytes: row.payload }
    },

    async put(repository, reference, { bytes, contentType, tags = [], condition }) {
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
      const stored = distinct(manifest.blobs.filter(mustBeStored))
      const repositoryId = await ensureRepository(database, repository)
      await database.transaction(async tx => {
        const content = await requireContent(tx, repositoryId, { manifest, stored, rules })
        const id = await putManifest(tx, repositoryId, {
          ...manifest,
          digest,
          payload: bytes,
          contentSize: stored.reduce((sum, blob) => sum + blob.size, 0),
          ...content,
          children: distinct(manifest.children).map(child => child.digest),
        })
        if (reference.kind === 'tag') await moveTag(tx, repositoryId, { tag: reference.tag, manifest: id, condition })
        // In one order for all: two pushes with the same tags must not wait for each other crosswise.
        for (const tag of [...new Set(tags)].toSorted()) await pointTag(tx, repositoryId, tag, id)
      })
      return { digest, subject: manifest.subject }
    },

    async delete(repository, digest) {
      const tags = await database.transaction(tx => removeManifest(tx, repository, digest))
      if (tags === undefined) throw await unknown(repository, { kind: 'digest', digest })
    },
  }
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
  { manifest, stored, rules }: { manifest: ParsedManifest; stored: readonly Descriptor[]; rules: ManifestRules },
): Promise<{ blobs: number[]; absentBlobs: Digest[] }> {
  const found = await lockBlobs(
    tx,
    repository,
    stored.map(blob => blob.digest),
  )
  const sizes = new Map(found.map(blob => [blob.digest, blob.size]))
  const needed = distinct(manifest.children.filter(child => mustBePushedFirst(child, rules))).map(child => child.digest)
  const children = new Set(needed.length === 0 ? [] : await lockManifests(tx, repository, needed))
  const absentBlobs = stored.map(blob => blob.digest).filter(digest => !sizes.has(digest))
  const missing = [...(rules.absentBlobs ? [] : absentBlobs), ...needed.filter(digest => !children.has(digest))]
  if (missing.length > 0) {
    throw new RegistryErrors(missing.map(digest => new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: { digest } })))
  }
  const wrong = stored.find(({ digest, size }) => (sizes.get(digest) ?? size) !== size)
  if (wrong !== undefined) {
    throw new RegistryError('MANIFEST_INVALID', {
      message: `manifest invalid: it gives ${wrong.size} as the size of a blob that has ${sizes.get(wrong.digest)} bytes`,
      detail: { digest: wrong.digest },
    })
  }
  return { blobs: found.map(blob => blob.id), absentBlobs }
}

async function moveTag(
  tx: Queryable,
  repository: RepositoryId,
  { tag, manifest, condition }: { tag: Tag; manifest: number; condition: TagCondition | undefined },
): Promise<void> {
  if (condition === undefined) return pointTag(tx, repository, tag, manifest)
  if (condition.kind === 'absent') {
    if (!(await createTag(tx, repository, tag, manifest))) throw conditionFailed('the tag exists already')
    return
  }
  const current = await lockTag(tx, repository, tag)
  if (!holds(condition, current)) {
    throw conditionFailed(current === undefined ? 'the tag does not exist' : `the tag points to ${current}`)
  }
  await pointTag(tx, repository, tag, manifest)
}

function holds(condition: Exclude<TagCondition, { kind: 'absent' }>, current: Digest | undefined): boolean {
  switch (condition.kind) {
    case 'present':
      return current !== undefined
    case 'one of':
      return current !== undefined && condition.digests.includes(current)
    case 'none of':
      return current === undefined || !condition.digests.includes(current)
    default:
      return condition satisfies never
  }
}

function conditionFailed(reason: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', {
    status: 412,
    message: `the condition of the request does not hold: ${reason}`,
  })
}

function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map(descriptor => [descriptor.digest, descriptor])).values()]
}
