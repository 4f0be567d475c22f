import type { Database, Queryable } from '../metadata/database.ts'
import { lockManifest } from '../metadata/manifests.ts'
import { findRepository, type RepositoryId } from '../metadata/repositories.ts'
import { tagHistory, type TagHistoryFilter, type TagLifetime } from '../metadata/tag-history.ts'
import { endTag, lockTag, pointTag, tagPage } from '../metadata/tags.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { ManifestMemory } from './manifest-memory.ts'
import { checkCondition, type TagCondition } from './tag-conditions.ts'
import { type Page, type PageRequest, pageOf } from './pages.ts'

export type { TagLifetime } from '../metadata/tag-history.ts'

export interface Tags {
  /** A page of the tags in byte order. @throws RegistryError NAME_UNKNOWN */
  list(repository: RepositoryName, request: PageRequest): Promise<Page<Tag>>
  /**
   * Ends a tag.
   * @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN when there is no such tag; MANIFEST_INVALID 412 when the condition
   *   does not hold
   */
  delete(repository: RepositoryName, tag: Tag, condition?: TagCondition): Promise<void>
  /** Lets a tag point to a manifest of the repository. @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN */
  set(repository: RepositoryName, tag: Tag, digest: Digest): Promise<void>
  /** A page of the lifetimes of tags, the newest first. @param page from 1 */
  history(repository: RepositoryId, request: TagHistoryRequest): Promise<Page<TagLifetime>>
}

export interface TagHistoryRequest extends TagHistoryFilter {
  page: number
  /** Lifetimes of a page. */
  limit: number
}

/** Without `n` a client gets all tags up to this many: most clients never ask for a second page. */
const mostTags = 100_000

export interface TagsOptions {
  database: Database
  memory: ManifestMemory
  /** The largest page that a client may ask for (`tags.maxtags`). */
  maxEntries: number
}

export function createTags({ database, memory, maxEntries }: TagsOptions): Tags {
  return {
    async list(repository, request) {
      const id = await findRepository(database, repository)
      if (id === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
      return pageOf({ ...request, most: request.n === undefined ? mostTags : maxEntries }, bounds =>
        tagPage(database, id, bounds),
      )
    },

    async delete(repository, tag, condition) {
      const end = async (tx: Queryable) => {
        if (condition !== undefined) {
          const id = await findRepository(tx, repository)
          checkCondition(condition, id === undefined ? undefined : await lockTag(tx, id, tag))
        }
        return endTag(tx, repository, tag)
      }
      if (await memory.movingTags(repository, [tag], () => database.transaction(end))) return
      throw await unknown(repository, { tag })
    },

    async set(repository, tag, digest) {
      const point = async (tx: Queryable) => {
        const manifest = await lockManifest(tx, repository, digest)
        if (manifest !== undefined) await pointTag(tx, manifest.repository_id, tag, manifest.id)
        return manifest !== undefined
      }
      if (await memory.movingTags(repository, [tag], () => database.transaction(point))) return
      throw await unknown(repository, { digest })
    },

    async history(repository, { page, limit, ...filter }) {
      const offset = (page - 1) * limit
      const items = await tagHistory(database, repository, filter, { offset, limit: limit + 1 })
      return { items: items.slice(0, limit), more: items.length > limit }
    },
  }

  async function unknown(
    repository: RepositoryName,
    detail: { tag: Tag } | { digest: Digest },
  ): Promise<RegistryError> {
    const known = (await findRepository(database, repository)) !== undefined
    return new RegistryError(known ? 'MANIFEST_UNKNOWN' : 'NAME_UNKNOWN', { detail: { name: repository, ...detail } })
  }
}
