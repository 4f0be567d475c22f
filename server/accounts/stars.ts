import type { Account } from '../access/actor.ts'
import { effectiveRole } from '../access/may.ts'
import { addStar, removeStar } from '../metadata/stars.ts'
import { isRepositoryName } from '../oci/repository-name.ts'
import { notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { type AccountRepositories, restNames } from './repositories.ts'

/** The repositories that users have marked for themselves. */
export interface Stars {
  /** Marks one, once. @throws AccountError not_found for one that the user can't read, and for none */
  add(repository: string, user: Account): Promise<void>
  /** As in Quay, one that the user has not marked is as good as unmarked. */
  remove(repository: string, user: Account): Promise<void>
}

export function createStars({
  database,
  policy,
  repositories,
}: AccountsOptions & { repositories: AccountRepositories }): Stars {
  return {
    async add(repository, user) {
      const rights = await repositories.rights(repository, user)
      const mayRead = effectiveRole(user, { rights, policy }) !== undefined
      if (rights.found === undefined || !mayRead) throw notFound()
      await addStar(database, user.id, rights.found.id)
    },

    async remove(repository, user) {
      const names = isRepositoryName(repository) ? restNames(repository) : []
      await removeStar(database, user.id, names)
    },
  }
}
