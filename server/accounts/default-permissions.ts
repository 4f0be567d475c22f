import type { Queryable } from '../metadata/database.ts'
import {
  type DefaultPermissionRow,
  findDefaultPermission,
  insertDefaultPermission,
  listDefaultPermissions,
  removeDefaultPermission,
  type RepositoryRole,
  updateDefaultPermission,
} from '../metadata/default-permissions.ts'
import { findAnyone } from '../metadata/members.ts'
import { findTeam } from '../metadata/teams.ts'
import { invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { isAccountName, isTeamName } from './names.ts'
import { requireLocked, requireOrganization } from './organizations.ts'

export type DefaultPermission = DefaultPermissionRow

export interface DefaultPermissionWish {
  role: RepositoryRole
  /** Who has to create the repository; anyone when undefined. */
  creator: string | undefined
  delegate: { kind: 'user' | 'team'; name: string }
}

/** What new repositories of an organization begin with (Quay's prototypes), for its admins. */
export interface DefaultPermissions {
  /** @throws AccountError not_found */
  list(organization: string): Promise<DefaultPermission[]>
  /** @throws AccountError invalid_request for a creator or a delegate that is not there */
  create(organization: string, wish: DefaultPermissionWish): Promise<DefaultPermission>
  /** @throws AccountError not_found */
  setRole(organization: string, id: string, role: RepositoryRole): Promise<DefaultPermission>
  /** @throws AccountError not_found */
  delete(organization: string, id: string): Promise<void>
}

export function createDefaultPermissions({ database }: AccountsOptions): DefaultPermissions {
  return {
    list: async organization => listDefaultPermissions(database, await requireOrganization(database, organization)),

    create: (organization, { role, creator: creatorName, delegate }) =>
      database.transaction(async tx => {
        const namespace = await requireLocked(tx, organization)
        const creator =
          creatorName === undefined ? null : await idOf(tx, namespace, { kind: 'user', name: creatorName })
        if (creator === undefined) throw invalid('Unknown activating user')
        const id = await idOf(tx, namespace, delegate)
        if (id === undefined) throw invalid('Missing delegate user or team')
        const [account, team] = delegate.kind === 'user' ? [id, null] : [null, id]
        return found(tx, namespace, await insertDefaultPermission(tx, { namespace, creator, account, team, role }))
      }),

    async setRole(organization, id, role) {
      const namespace = await requireOrganization(database, organization)
      if (!isId(id) || !(await updateDefaultPermission(database, namespace, id, role))) throw notFound()
      return found(database, namespace, id)
    },

    async delete(organization, id) {
      const namespace = await requireOrganization(database, organization)
      if (!isId(id) || !(await removeDefaultPermission(database, namespace, id))) throw notFound()
    },
  }
}

/** Undefined for a user, a robot of the organization or a team that is not there. */
async function idOf(
  tx: Queryable,
  namespace: number,
  { kind, name }: DefaultPermissionWish['delegate'],
): Promise<number | undefined> {
  if (kind === 'team') return isTeamName(name) ? (await findTeam(tx, namespace, name))?.id : undefined
  return isAccountName(name) ? (await findAnyone(tx, namespace, name))?.id : undefined
}

async function found(db: Queryable, namespace: number, id: string): Promise<DefaultPermission> {
  const row = await findDefaultPermission(db, namespace, id)
  if (row === undefined) throw notFound()
  return row
}

function isId(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
}
