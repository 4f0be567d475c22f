import type { AccountsGuard } from '../access/accounts-guard.ts'
import type { Account, Actor } from '../access/actor.ts'
import { findCredentialsById } from '../metadata/credentials.ts'
import type { Database } from '../metadata/database.ts'
import { createOrganization } from '../metadata/organizations.ts'
import { createRepository, findRepository } from '../metadata/repositories.ts'
import { RegistryError } from '../oci/errors.ts'
import { namespaceOf, type RepositoryName } from '../oci/repository-name.ts'
import type { Repositories } from '../registry/repositories.ts'
import { isNamespaceName } from './names.ts'

export interface PushedRepositoriesOptions {
  database: Database
  guard: AccountsGuard
  /** `auth.accounts.createprivaterepositoryonpush`, `createnamespaceonpush` */
  createPrivate: boolean
  createNamespaces: boolean
}

/**
 * Repositories that a push makes where there are accounts, with the namespace where the settings say so. Whether the actor
 * may make one is asked again here: a token or a long upload may have been let in when the repository was there, and who
 * could write to it must not become its owner when it is deleted meanwhile.
 */
export function createPushedRepositories(options: PushedRepositoriesOptions): Repositories {
  const { database, guard, createPrivate, createNamespaces } = options

  async function creatorOf(by: Actor, name: RepositoryName): Promise<Account> {
    const creator = await accountOf(by)
    const allowed = creator === undefined ? [] : await guard.allowed(creator, name, ['push'])
    if (creator === undefined || allowed.length === 0) throw new RegistryError('DENIED')
    return creator
  }

  async function accountOf(by: Actor): Promise<Account | undefined> {
    if (by.kind === 'account') return by
    if (by.kind !== 'granted' || by.accountId === undefined) return undefined
    const row = await findCredentialsById(database, by.accountId, undefined)
    return row?.enabled === true ? guard.accountOf(row, { scopes: 'all' }) : undefined
  }

  return {
    async ensure(name, by) {
      for (let attempt = 1; attempt <= 3; attempt++) {
        const id = await findRepository(database, name)
        if (id !== undefined) return id
        const creator = await creatorOf(by, name)
        const visibility = createPrivate ? 'private' : 'public'
        const made = await createRepository(database, { name, visibility, description: '', creator: creator.id })
        if (made !== undefined) return made
        const namespace = namespaceOf(name)
        if (createNamespaces && isNamespaceName(namespace))
          await createOrganization(
            database,
            { name: namespace, email: null, creator: creator.id },
            { takesOpen: false },
          )
      }
      throw new RegistryError('DENIED', { message: 'there is no such namespace, and a push does not make one here' })
    },
  }
}
