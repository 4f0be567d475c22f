import type { Account } from '../access/actor.ts'
import { acceptTeamInvite, declineTeamInvite, listInvitesOf, type TeamInviteRow } from '../metadata/team-invites.ts'
import { invalid } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { checkMayChange } from './organizations.ts'

export type TeamInvite = TeamInviteRow

/** What users answer who were asked to join a team. */
export interface TeamInvites {
  /** Those that a user has not answered, the newest first, and whether there are more. */
  list(account: Account, page: { offset: number; limit: number }): Promise<{ invites: TeamInvite[]; more: boolean }>
  /** Joins the team, and others of its organization that have asked. @throws AccountError invalid_request for another's code */
  accept(code: string, account: Account): Promise<{ organization: string; team: string }>
  /** @throws AccountError invalid_request for another's code */
  decline(code: string, account: Account): Promise<void>
}

export function createTeamInvites({ database }: AccountsOptions): TeamInvites {
  return {
    async list({ id }, { offset, limit }) {
      const found = await listInvitesOf(database, id, { offset, limit: limit + 1 })
      return { invites: found.slice(0, limit), more: found.length > limit }
    },

    async accept(code, account) {
      checkMayChange(account)
      const joined = isCode(code) ? await acceptTeamInvite(database, code, account.id) : undefined
      if (joined === undefined) throw unknownCode()
      return joined
    },

    async decline(code, account) {
      checkMayChange(account)
      if (!isCode(code) || !(await declineTeamInvite(database, code, account.id))) throw unknownCode()
    },
  }
}

function isCode(text: string): boolean {
  return /^[0-9a-f-]{36}$/.test(text)
}

/** The same for a code of someone else's and for none. */
function unknownCode() {
  return invalid('Invalid confirmation code.')
}
