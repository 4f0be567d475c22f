import { type Queryable, statement } from './database.ts'

export type TeamRole = 'member' | 'creator' | 'admin'

export interface TeamRow {
  id: number
  name: string
  role: TeamRole
  description: string
}

/** A team as the list of an organization shows it. */
export interface ListedTeamRow extends TeamRow {
  /** In how many repositories it may do something. */
  repo_count: number
  member_count: number
  /** Whether the account that asks is one of them. */
  is_mine: boolean
}

/** Lists that clients get as a whole end here, so that one answer can't take all memory. */
export const longestList = 10_000

const list = statement(
  'teams.list',
  `select t.id, t.name, t.role, t.description,
          (select count(*) from repository_permissions p join repositories r on r.id = p.repository_id
            where p.team_id = t.id and r.deleted_at is null) as repo_count,
          (select count(*) from team_members m where m.team_id = t.id) as member_count,
          exists (select from team_members m where m.team_id = t.id and m.account_id = $2) as is_mine
     from teams t where t.namespace_id = $1 order by t.id limit ${longestList}`,
)

/** The teams of an organization, the oldest first. @param account whose teams are marked */
export function listTeams(db: Queryable, namespace: number, account: number): Promise<ListedTeamRow[]> {
  return db.rows<ListedTeamRow>(list, [namespace, account])
}

const columns = 'id, name, role, description'
const find = statement('teams.find', `select ${columns} from teams where namespace_id = $1 and name = $2`)

export function findTeam(db: Queryable, namespace: number, name: string): Promise<TeamRow | undefined> {
  return db.row<TeamRow>(find, [namespace, name])
}

const insert = statement(
  'teams.insert',
  `insert into teams (namespace_id, name, role, description) values ($1, $2, $3, $4) returning ${columns}`,
)

export async function insertTeam(
  db: Queryable,
  namespace: number,
  { name, role, description }: Omit<TeamRow, 'id'>,
): Promise<void> {
  await db.change(insert, [namespace, name, role, description])
}

const update = statement('teams.update', `update teams set role = $2, description = $3 where id = $1`)

export async function updateTeam(db: Queryable, { id, role, description }: Omit<TeamRow, 'name'>): Promise<void> {
  await db.change(update, [id, role, description])
}

const remove = statement('teams.remove', `delete from teams where id = $1`)

/** Its members, its permissions and the invitations to it go with it. */
export async function removeTeam(db: Queryable, team: number): Promise<void> {
  await db.change(remove, [team])
}

const administered = statement(
  'teams.administered',
  `select 1 from teams t
     join team_members m on m.team_id = t.id
     join accounts a on a.id = m.account_id and a.kind = 'user' and a.enabled
    where t.namespace_id = $1 and t.role = 'admin' limit 1`,
)

/** Whether some user who can log in administers the organization. */
export async function isAdministered(db: Queryable, namespace: number): Promise<boolean> {
  return (await db.row(administered, [namespace])) !== undefined
}

const addMember = statement(
  'teams.add_member',
  `insert into team_members (team_id, account_id) values ($1, $2) on conflict do nothing`,
)

/** @returns whether the account was not in it before */
export async function insertTeamMember(db: Queryable, team: number, account: number): Promise<boolean> {
  return (await db.change(addMember, [team, account])) > 0
}

const removeMember = statement('teams.remove_member', `delete from team_members where team_id = $1 and account_id = $2`)

/** @returns whether the account was in it */
export async function removeTeamMember(db: Queryable, team: number, account: number): Promise<boolean> {
  return (await db.change(removeMember, [team, account])) > 0
}

/** A user or a robot, as lists of members show it. */
export interface MemberRow {
  id: number
  name: string
  kind: 'user' | 'robot'
}

const members = statement(
  'teams.members',
  `select a.id, a.name, a.kind from team_members m join accounts a on a.id = m.account_id
    where m.team_id = $1 order by a.name limit ${longestList}`,
)

export function listTeamMembers(db: Queryable, team: number): Promise<MemberRow[]> {
  return db.rows<MemberRow>(members, [team])
}

/** What a team or a robot may do in a repository. */
export interface RepositoryRoleRow {
  repository: string
  visibility: 'public' | 'private'
  role: 'read' | 'write' | 'admin'
}

const permissions = statement(
  'teams.permissions',
  `select r.name as repository, r.visibility, p.role
     from repository_permissions p join repositories r on r.id = p.repository_id and r.deleted_at is null
    where p.team_id = $1 order by r.name limit ${longestList}`,
)

export function listTeamPermissions(db: Queryable, team: number): Promise<RepositoryRoleRow[]> {
  return db.rows<RepositoryRoleRow>(permissions, [team])
}
