import { type Queryable, statement } from './database.ts'
import { longestList, type MemberRow } from './teams.ts'

const insert = statement(
  'team_invites.insert',
  `insert into team_invites (code, team_id, account_id, inviter_id) values ($1, $2, $3, $4)
   on conflict (team_id, account_id) where account_id is not null do nothing`,
)

/** Asks a user to join a team. One who was asked already keeps the code. */
export async function insertTeamInvite(
  db: Queryable,
  invite: { code: string; team: number; account: number; inviter: number },
): Promise<void> {
  await db.change(insert, [invite.code, invite.team, invite.account, invite.inviter])
}

const remove = statement('team_invites.remove', `delete from team_invites where team_id = $1 and account_id = $2`)

/** @returns whether there was one */
export async function removeTeamInvite(db: Queryable, team: number, account: number): Promise<boolean> {
  return (await db.change(remove, [team, account])) > 0
}

const invited = statement(
  'team_invites.invited',
  `select a.id, a.name, a.kind from team_invites i join accounts a on a.id = i.account_id
    where i.team_id = $1 order by a.name limit ${longestList}`,
)

/** Who was asked to join a team and has not answered. */
export function listInvited(db: Queryable, team: number): Promise<MemberRow[]> {
  return db.rows<MemberRow>(invited, [team])
}

export interface TeamInviteRow {
  code: string
  organization: string
  team: string
  /** Null when that account is gone. */
  inviter: string | null
  created_at: Date
}

const columns = `i.code, n.name as organization, t.name as team, b.name as inviter, i.created_at`
const tables = `
  team_invites i
  join teams t on t.id = i.team_id
  join namespaces n on n.id = t.namespace_id
  left join accounts b on b.id = i.inviter_id`

const listOf = statement(
  'team_invites.list_of',
  `select ${columns} from ${tables} where i.account_id = $1 order by i.created_at desc, i.code offset $2 limit $3`,
)

/** The invitations that a user has not answered, the newest first. */
export function listInvitesOf(
  db: Queryable,
  account: number,
  { offset, limit }: { offset: number; limit: number },
): Promise<TeamInviteRow[]> {
  return db.rows<TeamInviteRow>(listOf, [account, offset, limit])
}

const accept = statement(
  'team_invites.accept',
  `with chosen as (
     select t.namespace_id, n.name as organization, t.name as team
       from team_invites i join teams t on t.id = i.team_id join namespaces n on n.id = t.namespace_id
      where i.code = $1 and i.account_id = $2
   ), answered as (
     delete from team_invites i using teams t, chosen
      where t.id = i.team_id and t.namespace_id = chosen.namespace_id and i.account_id = $2
     returning i.team_id
   ), joined as (
     insert into team_members (team_id, account_id) select team_id, $2 from answered on conflict do nothing
   )
   select organization, team from chosen`,
)

/**
 * Has a user join the team of a code, and all others of its organization that asked, as in Quay.
 * @returns undefined when the user has no such invitation
 */
export function acceptTeamInvite(
  db: Queryable,
  code: string,
  account: number,
): Promise<{ organization: string; team: string } | undefined> {
  return db.row<{ organization: string; team: string }>(accept, [code, account])
}

const decline = statement('team_invites.decline', `delete from team_invites where code = $1 and account_id = $2`)

/** @returns whether the user had such an invitation */
export async function declineTeamInvite(db: Queryable, code: string, account: number): Promise<boolean> {
  return (await db.change(decline, [code, account])) > 0
}
