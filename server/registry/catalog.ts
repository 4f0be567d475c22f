import type { Database } from '../metadata/database.ts'
import { repositoryPage } from '../metadata/repositories.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Page, type PageRequest, pageOf } from './pages.ts'

export interface Catalog {
  /** A page of the names of all repositories, in byte order. */
  list(request: PageRequest): Promise<Page<RepositoryName>>
}

/** @param maxEntries the largest page (`catalog.maxentries`) */
export function createCatalog({ database, maxEntries }: { database: Database; maxEntries: number }): Catalog {
  return {
    list: request => pageOf({ ...request, most: maxEntries }, bounds => repositoryPage(database, bounds)),
  }
}
