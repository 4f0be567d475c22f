import {
  findAnyone,
  findMember,
  listCollaborators,
  listMembers,
  type OrganizationMemberRow,
  removeMember,
} from '../metadata/members.ts'
import { notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { isAccountName, isNamespaceName } from './names.ts'
import { checkAdministered, requireLocked, requireOrganization } from './organizations.ts'

export type OrganizationMember = Omit<OrganizationMemberRow, 'id'>

/** Who belongs to an organization, for its admins. */
export interface Members {
  /** The users that are in some team. @throws AccountError not_found */
  list(organization: string): Promise<OrganizationMember[]>
  /** The users that are in none, and may do something in some repository by themselves. @throws AccountError not_found */
  collaborators(organization: string): Promise<OrganizationMember[]>
  /** A user that is in some team, or a robot. @throws AccountError not_found */
  get(organization: string, member: string): Promise<OrganizationMember>
  /**
   * Takes a user out of all teams, and away all permissions for repositories.
   * @throws AccountError not_found for one who is no user; invalid_request when no admin would be left
   */
  remove(organization: string, member: string): Promise<void>
}

export function createMembers({ database }: AccountsOptions): Members {
  return {
    list: async organization => listMembers(database, await requireOrganization(database, organization)),
    collaborators: async organization => listCollaborators(database, await requireOrganization(database, organization)),

    async get(organization, name) {
      const id = await requireOrganization(database, organization)
      const member = isAccountName(name) ? await findMember(database, id, name) : undefined
      if (member === undefined) throw notFound()
      return member
    },

    remove: (organization, name) =>
      database.transaction(async tx => {
        const id = await requireLocked(tx, organization)
        const member = isNamespaceName(name) ? await findAnyone(tx, id, name) : undefined
        if (member === undefined) throw notFound()
        await removeMember(tx, id, member.id)
        if (member.is_member)
          await checkAdministered(tx, id, 'Cannot remove user as they are the only organization admin')
      }),
  }
}
