import {
  type AccountPermissionRow,
  findAccountPermission,
  findTeamPermission,
  listAccountPermissions,
  listTeamPermissions,
  putAccountPermission,
  putTeamPermission,
  removeAccountPermission,
  removeTeamPermission,
  type RepositoryRole,
  rolesOfAccount,
  type TeamPermissionRow,
} from '../metadata/permissions.ts'
import type { RepositoryPlace } from '../metadata/repositories.ts'
import { namespaceOf } from '../oci/repository-name.ts'
import { type AccountError, invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import type { ListPage } from './repositories.ts'

/** What users, robots and teams were given in a repository. Robots count as users. */
export interface Permissions {
  /** A page of at most 1000, by name. @param after what `next` of the page before says; empty for the first */
  listAccounts(repository: RepositoryPlace, after: string): Promise<ListPage<AccountPermissionRow>>
  listTeams(repository: RepositoryPlace, after: string): Promise<ListPage<TeamPermissionRow>>
  /** @throws AccountError invalid_request when they have none */
  ofAccount(repository: RepositoryPlace, name: string): Promise<AccountPermissionRow>
  ofTeam(repository: RepositoryPlace, name: string): Promise<TeamPermissionRow>
  /** All roles that a user or a robot has, also by teams. @throws AccountError not_found when there are none */
  rolesOf(repository: RepositoryPlace, name: string): Promise<RepositoryRole[]>
  /** @throws AccountError invalid_request for the owner, for no one's name, and for a robot of elsewhere */
  setAccount(repository: RepositoryPlace, name: string, role: RepositoryRole): Promise<AccountPermissionRow>
  /** @throws AccountError invalid_request when the repository's organization has no such team */
  setTeam(repository: RepositoryPlace, name: string, role: RepositoryRole): Promise<TeamPermissionRow>
  /** @throws AccountError invalid_request when they have none */
  removeAccount(repository: RepositoryPlace, name: string): Promise<void>
  removeTeam(repository: RepositoryPlace, name: string): Promise<void>
}

const pageSize = 1000

export function createPermissions({ database }: AccountsOptions): Permissions {
  return {
    listAccounts: async ({ id }, after) =>
      pageOf(await listAccountPermissions(database, id, { after, limit: pageSize + 1 })),
    listTeams: async ({ id }, after) => pageOf(await listTeamPermissions(database, id, { after, limit: pageSize + 1 })),

    async ofAccount({ id }, name) {
      const row = isName(name) ? await findAccountPermission(database, id, name) : undefined
      if (row === undefined) throw hasNone('User')
      return row
    },

    async ofTeam({ id }, name) {
      const row = isName(name) ? await findTeamPermission(database, id, name) : undefined
      if (row === undefined) throw hasNone('Team')
      return row
    },

    async rolesOf({ id }, name) {
      const roles = isName(name) ? await rolesOfAccount(database, id, name) : []
      if (roles.length === 0) throw notFound()
      return roles
    },

    async setAccount(repository, name, role) {
      const delegate = isName(name) ? await putAccountPermission(database, repository.id, name, role) : undefined
      if (delegate === undefined) throw invalid(`Invalid username: ${name.slice(0, 300)}`)
      if (delegate.is_owner) throw owner()
      const namespace = namespaceOf(repository.name)
      if (delegate.kind === 'robot' && !delegate.is_own)
        throw invalid(`Cannot add robot ${name} under namespace ${namespace}`)
      return gone(await findAccountPermission(database, repository.id, name))
    },

    async setTeam(repository, name, role) {
      if (!isName(name) || !(await putTeamPermission(database, repository.id, name, role)))
        throw invalid(`No team ${name.slice(0, 300)} in organization ${namespaceOf(repository.name)}`)
      return { name, role }
    },

    async removeAccount(repository, name) {
      if (name === namespaceOf(repository.name)) throw owner()
      if (!isName(name) || !(await removeAccountPermission(database, repository.id, name))) throw hasNone('User')
    },

    async removeTeam({ id }, name) {
      if (!isName(name) || !(await removeTeamPermission(database, id, name))) throw hasNone('Team')
    },
  }
}

function pageOf<Row extends { name: string }>(rows: Row[]): ListPage<Row> {
  const page = rows.slice(0, pageSize)
  return { rows: page, next: rows.length > pageSize ? page.at(-1)?.name : undefined }
}

/** Postgres has no text with a NUL in it. */
function isName(text: string): boolean {
  return !text.includes('\0')
}

function owner(): AccountError {
  return invalid('Namespace owner must always be admin.')
}

function hasNone(who: 'User' | 'Team'): AccountError {
  return invalid(`${who} does not have permission for repo.`)
}

/** Someone else took it away at the same moment. */
function gone<Row>(row: Row | undefined): Row {
  if (row === undefined) throw notFound()
  return row
}
