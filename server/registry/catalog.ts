import type { Visible } from '../access/actor.ts'
import type { Database } from '../metadata/database.ts'
import { repositoryPage, visibleRepositoryPage } from '../metadata/repositories.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { type Page, type PageRequest, pageOf } from './pages.ts'

export interface Catalog {
  /** A page of the names of the repositories that someone sees, in byte order. */
  list(request: PageRequest, visible: Visible): Promise<Page<RepositoryName>>
}

interface Bounds {
  after: string
  limit: number
}

/** Names that are read at a time. */
const batch = 1000

/** @param maxEntries the largest page (`catalog.maxentries`) */
export function createCatalog({ database, maxEntries }: { database: Database; maxEntries: number }): Catalog {
  /** Goes through all names for those that are seen; there may be many between. */
  async function seen(bounds: Bounds, may: (name: RepositoryName) => boolean): Promise<RepositoryName[]> {
    const names: RepositoryName[] = []
    for (let after: string | undefined = bounds.after; after !== undefined && names.length < bounds.limit;) {
      const some: RepositoryName[] = await repositoryPage(database, { after, limit: batch })
      names.push(...some.filter(may))
      after = some.length < batch ? undefined : some.at(-1)
    }
    return names.slice(0, bounds.limit)
  }

  function read(visible: Visible, bounds: Bounds): Promise<RepositoryName[]> {
    switch (visible.kind) {
      case 'all':
        return repositoryPage(database, bounds)
      case 'some':
        return seen(bounds, visible.may)
      case 'account':
        return visibleRepositoryPage(database, bounds, visible)
      default:
        return visible satisfies never
    }
  }

  return {
    list: (request, visible) => pageOf({ ...request, most: maxEntries }, bounds => read(visible, bounds)),
  }
}
