import { type Queryable, statement } from './database.ts'
import { longestList, type MemberRow } from './teams.ts'

/** A user or a robot with what it has to do with an organization. */
export interface OrganizationMemberRow extends MemberRow {
  /** The teams that it is in. */
  teams: string[]
  /** The repositories that it itself has a permission for, by whole names. */
  repositories: string[]
}

const repositories = `
  array (select r.name from repository_permissions p join repositories r on r.id = p.repository_id
          where p.account_id = a.id and r.namespace_id = $1 and r.deleted_at is null order by r.name) as repositories`
const teams = `
  array (select t.name from team_members m join teams t on t.id = m.team_id
          where m.account_id = a.id and t.namespace_id = $1 order by t.id) as teams`
const columns = `a.id, a.name, a.kind, ${teams}, ${repositories}`
const isMember = `
  exists (select from team_members m join teams t on t.id = m.team_id where m.account_id = a.id and t.namespace_id = $1)`

const list = statement(
  'members.list',
  `select ${columns} from accounts a
    where a.kind = 'user' and a.id in (select m.account_id from teams t join team_members m on m.team_id = t.id where t.namespace_id = $1)
    order by a.name limit ${longestList}`,
)

/** The users that are in some team of an organization. */
export function listMembers(db: Queryable, namespace: number): Promise<OrganizationMemberRow[]> {
  return db.rows<OrganizationMemberRow>(list, [namespace])
}

const collaborators = statement(
  'members.collaborators',
  `select ${columns} from accounts a
    where a.kind = 'user' and a.id in (select p.account_id from repositories r join repository_permissions p on p.repository_id = r.id
                    where r.namespace_id = $1 and r.deleted_at is null)
      and not ${isMember}
    order by a.name limit ${longestList}`,
)

/** The users that are in no team of an organization and have a permission for one of its repositories. */
export function listCollaborators(db: Queryable, namespace: number): Promise<OrganizationMemberRow[]> {
  return db.rows<OrganizationMemberRow>(collaborators, [namespace])
}

const find = statement(
  'members.find',
  `select ${columns} from accounts a
    where a.name = $2 and (a.kind = 'robot' and a.namespace_id = $1 or ${isMember})`,
)

/** A member of an organization, or one of its robots. */
export function findMember(db: Queryable, namespace: number, name: string): Promise<OrganizationMemberRow | undefined> {
  return db.row<OrganizationMemberRow>(find, [namespace, name])
}

export interface AnyoneRow extends MemberRow {
  is_member: boolean
}

const anyone = statement(
  'members.anyone',
  `select a.id, a.name, a.kind, ${isMember} as is_member from accounts a
    where a.name = $2 and (a.kind = 'user' or a.namespace_id = $1)`,
)

/** Someone who can be given something in an organization: any user, and its own robots. */
export function findAnyone(db: Queryable, namespace: number, name: string): Promise<AnyoneRow | undefined> {
  return db.row<AnyoneRow>(anyone, [namespace, name])
}

const remove = statement(
  'members.remove',
  `with memberships as (
     delete from team_members m using teams t
      where t.id = m.team_id and t.namespace_id = $1 and m.account_id = $2
   ), permissions as (
     delete from repository_permissions p using repositories r
      where r.id = p.repository_id and r.namespace_id = $1 and p.account_id = $2
   ), invites as (
     delete from team_invites i using teams t
      where t.id = i.team_id and t.namespace_id = $1 and i.account_id = $2
   )
   delete from default_permissions where namespace_id = $1 and account_id = $2`,
)

/** Takes all from an account that it has in an organization, and all that it was to get in new repositories. */
export async function removeMember(db: Queryable, namespace: number, account: number): Promise<void> {
  await db.change(remove, [namespace, account])
}
