import { type Queryable, statement } from './database.ts'
import { longestList } from './teams.ts'

export type RepositoryRole = 'read' | 'write' | 'admin'

/** A user or a robot that a default permission names. */
export interface NamedAccount {
  name: string
  kind: 'user' | 'robot'
  /** Whether it is in a team of the organization, or one of its robots. */
  is_member: boolean
}

/** What repositories of an organization begin with: a role for an account or for a team. */
export interface DefaultPermissionRow {
  id: string
  role: RepositoryRole
  /** Who has to create the repository; null for anyone. */
  creator: NamedAccount | null
  account: NamedAccount | null
  /** By name. */
  team: string | null
}

const named = (account: string) => `
  case when ${account}.id is not null then json_build_object(
    'name', ${account}.name, 'kind', ${account}.kind,
    'is_member', ${account}.kind = 'robot' or exists (
      select from team_members m join teams s on s.id = m.team_id
       where m.account_id = ${account}.id and s.namespace_id = d.namespace_id)) end`

const rows = `
  select d.id, d.role, ${named('c')} as creator, ${named('a')} as account, t.name as team
    from default_permissions d
    left join accounts c on c.id = d.creator_id
    left join accounts a on a.id = d.account_id
    left join teams t on t.id = d.team_id`

const list = statement(
  'default_permissions.list',
  `${rows} where d.namespace_id = $1 order by d.id limit ${longestList}`,
)

export function listDefaultPermissions(db: Queryable, namespace: number): Promise<DefaultPermissionRow[]> {
  return db.rows<DefaultPermissionRow>(list, [namespace])
}

const find = statement('default_permissions.find', `${rows} where d.namespace_id = $1 and d.id = $2::uuid`)

export function findDefaultPermission(
  db: Queryable,
  namespace: number,
  id: string,
): Promise<DefaultPermissionRow | undefined> {
  return db.row<DefaultPermissionRow>(find, [namespace, id])
}

const insert = statement(
  'default_permissions.insert',
  `insert into default_permissions (namespace_id, creator_id, account_id, team_id, role) values ($1, $2, $3, $4, $5)
   returning id`,
)

export interface NewDefaultPermission {
  namespace: number
  creator: number | null
  /** One of the two. */
  account: number | null
  team: number | null
  role: RepositoryRole
}

/** @returns its id */
export async function insertDefaultPermission(db: Queryable, permission: NewDefaultPermission): Promise<string> {
  const { namespace, creator, account, team, role } = permission
  const row = await db.row<{ id: string }>(insert, [namespace, creator, account, team, role])
  if (row === undefined) throw new Error('one row was inserted, and none came back')
  return row.id
}

const update = statement(
  'default_permissions.update',
  `update default_permissions set role = $3 where namespace_id = $1 and id = $2::uuid`,
)

/** @returns false when there is none of that id */
export async function updateDefaultPermission(
  db: Queryable,
  namespace: number,
  id: string,
  role: RepositoryRole,
): Promise<boolean> {
  return (await db.change(update, [namespace, id, role])) > 0
}

const remove = statement(
  'default_permissions.remove',
  `delete from default_permissions where namespace_id = $1 and id = $2::uuid`,
)

/** @returns false when there is none of that id */
export async function removeDefaultPermission(db: Queryable, namespace: number, id: string): Promise<boolean> {
  return (await db.change(remove, [namespace, id])) > 0
}
