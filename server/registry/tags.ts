import type { Database } from '../metadata/database.ts'
import { findRepository } from '../metadata/repositories.ts'
import { endTag, tagPage } from '../metadata/tags.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Page, type PageRequest, pageOf } from './pages.ts'

export interface Tags {
  /** A page of the tags in byte order. @throws RegistryError NAME_UNKNOWN */
  list(repository: RepositoryName, request: PageRequest): Promise<Page<Tag>>
  /** @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN when there is no such tag */
  delete(repository: RepositoryName, tag: Tag): Promise<void>
}

/** Without `n` a client gets all tags up to this many: most clients never ask for a second page. */
const mostTags = 100_000

/** @param maxEntries the largest page that a client may ask for (`tags.maxtags`) */
export function createTags({ database, maxEntries }: { database: Database; maxEntries: number }): Tags {
  return {
    async list(repository, request) {
      const id = await findRepository(database, repository)
      if (id === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
      return pageOf({ ...request, most: request.n === undefined ? mostTags : maxEntries }, bounds =>
        tagPage(database, id, bounds),
      )
    },

    async delete(repository, tag) {
      if (await endTag(database, repository, tag)) return
      const known = (await findRepository(database, repository)) !== undefined
      throw new RegistryError(known ? 'MANIFEST_UNKNOWN' : 'NAME_UNKNOWN', { detail: { name: repository, tag } })
    },
  }
}
