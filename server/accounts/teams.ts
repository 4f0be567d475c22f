import { randomUUID } from 'node:crypto'
import type { Account } from '../access/actor.ts'
import type { Queryable } from '../metadata/database.ts'
import { findAnyone } from '../metadata/members.ts'
import { insertTeamInvite, listInvited, removeTeamInvite } from '../metadata/team-invites.ts'
import {
  findTeam,
  insertTeam,
  insertTeamMember,
  listTeamMembers,
  listTeamPermissions,
  type MemberRow,
  removeTeam,
  removeTeamMember,
  type RepositoryRoleRow,
  type TeamRole,
  type TeamRow,
  updateTeam,
} from '../metadata/teams.ts'
import { AccountError, invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { isAccountName, isTeamName, parseTeamName, splitRobotName } from './names.ts'
import { checkAdministered, type Organizations, requireLocked, requireOrganization } from './organizations.ts'

export type Team = Omit<TeamRow, 'id'>
export type Member = Omit<MemberRow, 'id'>
export type RepositoryRole = RepositoryRoleRow

/** A team of an organization, by their names. */
export interface TeamKey {
  organization: string
  team: string
}

export interface TeamMembers {
  members: Member[]
  /** Who was asked to join and has not answered; empty for those who may not know. */
  invited: Member[]
  canEdit: boolean
}

/** Teams and who is in them. That the caller administers the organization was checked before, where nothing else is said. */
export interface Teams {
  /**
   * Makes a team, or changes the role and (where one is given) the description of one that is there.
   * @throws AccountError invalid_request for a name that no team can have, or when no admin would be left
   */
  put(key: TeamKey, wish: { role: TeamRole; description: string | undefined }): Promise<Team & { isNew: boolean }>
  /** @throws AccountError invalid_request when there is no such team, or when no admin would be left */
  delete(key: TeamKey): Promise<void>
  /**
   * Who is in a team, for its members and for the organization's admins.
   * @throws AccountError insufficient_scope for others; not_found
   */
  members(key: TeamKey, by: Account, options: { pending: boolean }): Promise<TeamMembers>
  /** What the team may do in which repositories. @throws AccountError not_found */
  permissions(key: TeamKey): Promise<RepositoryRole[]>
  /**
   * Adds a robot of the organization or a user who is in another team of it; asks any other user to join.
   * @throws AccountError not_found for the team; invalid_request for who can't be added, or is in it
   */
  add(key: TeamKey, member: string, inviter: Account): Promise<{ member: Member; invited: boolean }>
  /**
   * Takes a member out, or the invitation back.
   * @throws AccountError not_found for the team or the account; invalid_request when no admin would be left
   */
  remove(key: TeamKey, member: string): Promise<void>
}

export interface TeamsOptions extends AccountsOptions {
  organizations: Organizations
}

export function createTeams({ database, organizations, settings }: TeamsOptions): Teams {
  return {
    put: (key, { role, description }) =>
      database.transaction(async tx => {
        const organization = await requireLocked(tx, key.organization)
        const found = isTeamName(key.team) ? await findTeam(tx, organization, key.team) : undefined
        if (found === undefined) {
          const team = { name: parseTeamName(key.team), role, description: description ?? '' }
          await insertTeam(tx, organization, team)
          return { ...team, isNew: true }
        }
        const team = { ...found, role, description: description ?? found.description }
        await updateTeam(tx, team)
        if (found.role === 'admin' && role !== 'admin')
          await checkAdministered(
            tx,
            organization,
            `Cannot remove admin from team '${key.team}' because no user would have admin on org '${key.organization}' any longer`,
          )
        return { ...team, isNew: false }
      }),

    delete: key =>
      database.transaction(async tx => {
        const organization = await requireLocked(tx, key.organization)
        const found = isTeamName(key.team) ? await findTeam(tx, organization, key.team) : undefined
        if (found === undefined) throw invalid(`Team '${key.team}' is not a team in org '${key.organization}'`)
        await removeTeam(tx, found.id)
        if (found.role === 'admin')
          await checkAdministered(
            tx,
            organization,
            `Deleting team '${key.team}' would leave organization '${key.organization}' without an admin`,
          )
      }),

    async members(key, by, { pending }) {
      const rights = await organizations.rights(key.organization, by)
      if (rights === undefined) throw notFound()
      const team = isTeamName(key.team) ? await findTeam(database, rights.id, key.team) : undefined
      const members = team === undefined ? [] : await listTeamMembers(database, team.id)
      // A member sees the other members of the same team, and of no other.
      if (!rights.seesAll && !members.some(({ id }) => id === by.id))
        throw new AccountError('insufficient_scope', 'Unauthorized')
      if (team === undefined) throw notFound()
      const invited = pending && rights.seesAll ? await listInvited(database, team.id) : []
      return { members, invited, canEdit: rights.isAdmin }
    },

    async permissions(key) {
      const { id } = await requireTeam(database, await requireOrganization(database, key.organization), key.team)
      return listTeamPermissions(database, id)
    },

    add: (key, name, inviter) =>
      database.transaction(async tx => {
        const organization = await requireLocked(tx, key.organization)
        const team = await requireTeam(tx, organization, key.team)
        const namespace = splitRobotName(name)?.namespace
        // The same for a robot of another organization that is there and for one that is not.
        if (namespace !== undefined && namespace !== key.organization)
          throw invalid('Cannot add the specified robot to this team, as it is not a member of the organization')
        const member = isAccountName(name) ? await findAnyone(tx, organization, name) : undefined
        if (member === undefined) throw invalid('Unknown user')
        if (settings.teamInvites && member.kind === 'user' && !member.is_member) {
          await insertTeamInvite(tx, { code: randomUUID(), team: team.id, account: member.id, inviter: inviter.id })
          return { member, invited: true }
        }
        if (!(await insertTeamMember(tx, team.id, member.id)))
          throw invalid(`User ${name} is already a member of team ${key.team}`)
        await removeTeamInvite(tx, team.id, member.id)
        return { member, invited: false }
      }),

    remove: (key, name) =>
      database.transaction(async tx => {
        const organization = await requireLocked(tx, key.organization)
        const team = await requireTeam(tx, organization, key.team)
        const member = isAccountName(name) ? await findAnyone(tx, organization, name) : undefined
        if (member === undefined) throw notFound()
        if (await removeTeamInvite(tx, team.id, member.id)) return
        if (!(await removeTeamMember(tx, team.id, member.id)))
          throw invalid(`User ${name} does not belong to team ${key.team}`)
        if (team.role === 'admin')
          await checkAdministered(
            tx,
            organization,
            `Cannot remove user ${name} as they are the only organization admin`,
          )
      }),
  }
}

/** @throws AccountError not_found */
async function requireTeam(db: Queryable, organization: number, name: string): Promise<TeamRow> {
  const team = isTeamName(name) ? await findTeam(db, organization, name) : undefined
  if (team === undefined) throw notFound()
  return team
}
