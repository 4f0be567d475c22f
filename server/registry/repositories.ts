import type { Actor } from '../access/actor.ts'
import type { Database } from '../metadata/database.ts'
import { ensureRepository, type RepositoryId } from '../metadata/repositories.ts'
import type { RepositoryName } from '../oci/repository-name.ts'

/** How a repository comes into being by a push. */
export interface Repositories {
  /**
   * The repository's id, made if there was none.
   * @throws RegistryError DENIED when the actor may not make it (any more)
   */
  ensure(repository: RepositoryName, by: Actor): Promise<RepositoryId>
}

/** Without accounts a repository is anyone's, and its namespace comes with it. */
export function createOpenRepositories({ database }: { database: Database }): Repositories {
  return { ensure: repository => ensureRepository(database, repository) }
}

/** Something that a process remembers of repositories: it has to hear when some of them are deleted. */
export interface RepositoryMemory {
  /**
   * Runs work after which these repositories are no more. What is remembered of them is forgotten before the work is
   * answered for, and nothing of it is remembered while nobody knows whether it was done.
   * @param gone tells them by their names; what another one of such a name had is forgotten too
   */
  removing<T>(gone: (repository: string) => boolean, work: () => Promise<T>): Promise<T>
}

/**
 * Joins those who delete repositories (server/accounts) with those who remember something of them (here): whoever
 * deletes one, by itself or with its namespace, does it in `removing`.
 */
export interface RepositoryChanges extends RepositoryMemory {
  /** Has this memory hear of it from now on. */
  tell(memory: RepositoryMemory): void
}

export function createRepositoryChanges(): RepositoryChanges {
  const memories: RepositoryMemory[] = []
  return {
    tell: memory => void memories.push(memory),
    removing: (gone, work) => memories.reduceRight((inner, memory) => () => memory.removing(gone, inner), work)(),
  }
}
