import { type Queryable, statement } from './database.ts'
import type { RepositoryId } from './repositories.ts'

export type RepositoryRole = 'read' | 'write' | 'admin'

/** What a user or a robot was given in a repository. */
export interface AccountPermissionRow {
  name: string
  kind: 'user' | 'robot'
  role: RepositoryRole
  /** Null where the repository is no organization's. */
  is_org_member: boolean | null
}

/** What a team was given in a repository of its organization. */
export interface TeamPermissionRow {
  name: string
  role: RepositoryRole
}

const ofAccounts = (condition: string) => `
  select a.name, a.kind, p.role,
         case when n.kind = 'organization' then a.kind = 'robot' or exists (
           select from team_members m join teams t on t.id = m.team_id
            where m.account_id = a.id and t.namespace_id = r.namespace_id) end as is_org_member
    from repository_permissions p
    join repositories r on r.id = p.repository_id
    join namespaces n on n.id = r.namespace_id
    join accounts a on a.id = p.account_id
   where p.repository_id = $1 and ${condition}`

const listAccounts = statement('permissions.list_accounts', `${ofAccounts('a.name > $2')} order by a.name limit $3`)
const findAccount = statement('permissions.find_account', ofAccounts('a.name = $2'))

/** Users and robots after `after` in byte order. */
export function listAccountPermissions(
  db: Queryable,
  repository: RepositoryId,
  { after, limit }: { after: string; limit: number },
): Promise<AccountPermissionRow[]> {
  return db.rows<AccountPermissionRow>(listAccounts, [repository, after, limit])
}

export function findAccountPermission(
  db: Queryable,
  repository: RepositoryId,
  name: string,
): Promise<AccountPermissionRow | undefined> {
  return db.row<AccountPermissionRow>(findAccount, [repository, name])
}

const ofTeams = (condition: string) => `
  select t.name, p.role from repository_permissions p join teams t on t.id = p.team_id
   where p.repository_id = $1 and ${condition}`

const listTeams = statement('permissions.list_teams', `${ofTeams('t.name > $2')} order by t.name limit $3`)
const findTeam = statement('permissions.find_team', ofTeams('t.name = $2'))

export function listTeamPermissions(
  db: Queryable,
  repository: RepositoryId,
  { after, limit }: { after: string; limit: number },
): Promise<TeamPermissionRow[]> {
  return db.rows<TeamPermissionRow>(listTeams, [repository, after, limit])
}

export function findTeamPermission(
  db: Queryable,
  repository: RepositoryId,
  name: string,
): Promise<TeamPermissionRow | undefined> {
  return db.row<TeamPermissionRow>(findTeam, [repository, name])
}

/** Whom a permission is to be given: whether it is the repository's owner, and whether it is of the same namespace. */
export interface DelegateRow {
  kind: 'user' | 'robot'
  is_owner: boolean
  is_own: boolean
}

const account = `
  select a.id, a.kind, a.kind = 'user' and a.namespace_id = r.namespace_id as is_owner, a.namespace_id = r.namespace_id as is_own
    from accounts a, repositories r
   where a.name = $2 and r.id = $1 and r.deleted_at is null`

const putAccount = statement(
  'permissions.put_account',
  `with delegate as materialized (${account} for key share), put as (
     insert into repository_permissions (repository_id, account_id, role)
     select $1::bigint, id, $3::repository_role from delegate where not is_owner and (kind = 'user' or is_own)
     on conflict (account_id, repository_id) where account_id is not null do update set role = excluded.role
   )
   select kind, is_owner, is_own from delegate`,
)

/**
 * Gives a user, or a robot of the repository's namespace, a role in place of the one it has; the owner none.
 * @returns whose name it is: undefined when no one's
 */
export function putAccountPermission(
  db: Queryable,
  repository: RepositoryId,
  name: string,
  role: RepositoryRole,
): Promise<DelegateRow | undefined> {
  return db.row<DelegateRow>(putAccount, [repository, name, role])
}

const removeAccount = statement(
  'permissions.remove_account',
  `delete from repository_permissions p using accounts a
    where p.repository_id = $1 and p.account_id = a.id and a.name = $2`,
)

/** @returns false when it has none */
export async function removeAccountPermission(db: Queryable, repository: RepositoryId, name: string): Promise<boolean> {
  return (await db.change(removeAccount, [repository, name])) > 0
}

const putTeam = statement(
  'permissions.put_team',
  `with delegate as materialized (
     select t.id from teams t, repositories r
      where t.name = $2 and r.id = $1 and t.namespace_id = r.namespace_id and r.deleted_at is null for key share
   ), put as (
     insert into repository_permissions (repository_id, team_id, role) select $1::bigint, id, $3::repository_role from delegate
     on conflict (team_id, repository_id) where team_id is not null do update set role = excluded.role
   )
   select id from delegate`,
)

/** Gives a team of the repository's organization a role. @returns false when there is no such team */
export async function putTeamPermission(
  db: Queryable,
  repository: RepositoryId,
  name: string,
  role: RepositoryRole,
): Promise<boolean> {
  return (await db.row(putTeam, [repository, name, role])) !== undefined
}

const removeTeam = statement(
  'permissions.remove_team',
  `delete from repository_permissions p using teams t
    where p.repository_id = $1 and p.team_id = t.id and t.name = $2`,
)

/** @returns false when it has none */
export async function removeTeamPermission(db: Queryable, repository: RepositoryId, name: string): Promise<boolean> {
  return (await db.change(removeTeam, [repository, name])) > 0
}

const roles = statement(
  'permissions.roles_of_account',
  `select distinct p.role
     from accounts a
     join repository_permissions p on p.account_id = a.id
       or p.team_id in (select m.team_id from team_members m where m.account_id = a.id)
    where a.name = $2 and p.repository_id = $1
    order by p.role`,
)

/** All roles that an account was given there, by itself and by its teams. */
export async function rolesOfAccount(db: Queryable, repository: RepositoryId, name: string): Promise<RepositoryRole[]> {
  const rows = await db.rows<{ role: RepositoryRole }>(roles, [repository, name])
  return rows.map(row => row.role)
}
