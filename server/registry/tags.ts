import type { Database, Queryable } from '../metadata/database.ts'
import { findRepository } from '../metadata/repositories.ts'
import { endTag, lockTag, tagPage } from '../metadata/tags.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { ManifestMemory } from './manifest-memory.ts'
import { checkCondition, type TagCondition } from './tag-conditions.ts'
import { type Page, type PageRequest, pageOf } from './pages.ts'

export interface Tags {
  /** A page of the tags in byte order. @throws RegistryError NAME_UNKNOWN */
  list(repository: RepositoryName, request: PageRequest): Promise<Page<Tag>>
  /**
   * Ends a tag.
   * @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN when there is no such tag; MANIFEST_INVALID 412 when the condition
   *   does not hold
   */
  delete(repository: RepositoryName, tag: Tag, condition?: TagCondition): Promise<void>
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
      const known = (await findRepository(database, repository)) !== undefined
      throw new RegistryError(known ? 'MANIFEST_UNKNOWN' : 'NAME_UNKNOWN', { detail: { name: repository, tag } })
    },
  }
}
