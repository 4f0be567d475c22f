import type { Account, Actor } from '../access/actor.ts'
import { hasScope, reachesAll } from '../access/may.ts'
import type { Queryable } from '../metadata/database.ts'
import { lockNamespace, removeNamespace } from '../metadata/namespaces.ts'
import {
  createOrganization,
  findOrganization,
  findOrganizationRights,
  lockOrganization,
  type OrganizationRow,
  updateOrganization,
} from '../metadata/organizations.ts'
import { isAdministered, type ListedTeamRow, listTeams } from '../metadata/teams.ts'
import { AccountError, invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { checkEmail, isNamespaceName, parseNewNamespaceName, repositoriesOf } from './names.ts'

/** What someone is in an organization. */
export interface OrganizationRights {
  id: number
  isMember: boolean
  /** Whether they change everything in it: never for those who may only read. */
  isAdmin: boolean
  mayCreate: boolean
  /** Whether they are shown all that its admins are shown, but for secrets. */
  seesAll: boolean
}

/** An organization as far as someone is shown it. */
export interface ShownOrganization extends OrganizationRow {
  rights: Omit<OrganizationRights, 'id'>
  /** Undefined for who is no member. */
  teams: ListedTeamRow[] | undefined
}

/** What is to be changed of an organization; what is left out stays. Empty addresses are taken away. */
export interface OrganizationChanges {
  email?: string | undefined
  invoiceEmail?: boolean | undefined
  invoiceEmailAddress?: string | null | undefined
  tagExpirationSeconds?: number | undefined
}

export interface Organizations {
  /** Undefined when there is no such organization. */
  rights(organization: string, account: Account): Promise<OrganizationRights | undefined>
  /** @throws AccountError not_found */
  get(organization: string, by: Actor): Promise<ShownOrganization>
  /** @throws AccountError invalid_request for a name that is taken or none, or an e-mail address that is none */
  create(wish: { name: string; email: string | undefined }, creator: Account): Promise<void>
  /** @throws AccountError not_found; invalid_request for an e-mail address that is none */
  update(organization: string, wish: OrganizationChanges): Promise<void>
  /**
   * Ends it with its repositories, robots, teams, applications and tokens. Its name is free again.
   * @throws AccountError not_found
   */
  delete(organization: string): Promise<void>
}

export function createOrganizations({ database, changes, policy }: AccountsOptions): Organizations {
  async function rights(organization: string, account: Account): Promise<OrganizationRights | undefined> {
    if (!isNamespaceName(organization)) return undefined
    const row = await findOrganizationRights(database, organization, account.id)
    if (row === undefined) return undefined
    const all = account.power === 'superuser' && reachesAll(account, policy)
    const isReader = account.power === 'reader'
    return {
      id: row.id,
      isMember: all || row.is_member,
      isAdmin: all || (row.is_admin && !isReader),
      mayCreate: all || (row.may_create && !isReader),
      seesAll: all || row.is_admin || isReader,
    }
  }

  return {
    rights,

    async get(organization, by) {
      if (by.kind !== 'account' && !policy.anonymous) throw new AccountError('invalid_token', 'Requires authentication')
      const row = await requireRow(database, organization)
      const account = by.kind === 'account' && hasScope(by, 'org:admin') ? by : undefined
      const known = (account && (await rights(organization, account))) ?? nothing
      const teams = known.isMember || known.seesAll ? await listTeams(database, row.id, account?.id ?? 0) : undefined
      return { ...row, rights: known, teams }
    },

    async create({ name, email }, creator) {
      checkMayChange(creator)
      if (creator.power !== 'superuser' && policy.isRestricted(creator.name)) throw refusedByPower()
      parseNewNamespaceName(name)
      if (email !== undefined && email !== '') checkEmail(email)
      const takesOpen = creator.power === 'superuser'
      const made = await createOrganization(
        database,
        { name, email: email || null, creator: creator.id },
        { takesOpen },
      )
      if (made === undefined) throw invalid('A user or organization with this name already exists')
    },

    async update(organization, wish) {
      for (const address of [wish.email, wish.invoiceEmailAddress]) if (address) checkEmail(address)
      await database.transaction(async tx => {
        await requireLocked(tx, organization)
        const row = await requireRow(tx, organization)
        await updateOrganization(tx, {
          id: row.id,
          email: wish.email === undefined ? row.email : wish.email || null,
          invoice_email: wish.invoiceEmail ?? row.invoice_email,
          invoice_email_address:
            wish.invoiceEmailAddress === undefined ? row.invoice_email_address : wish.invoiceEmailAddress || null,
          tag_expiration_s: wish.tagExpirationSeconds ?? row.tag_expiration_s,
        })
      })
    },

    delete: organization =>
      changes.removing(repositoriesOf(organization), () =>
        database.transaction(async tx => {
          const namespace = await lockNamespace(tx, organization)
          if (namespace?.kind !== 'organization') throw notFound()
          await removeNamespace(tx, namespace.id)
        }),
      ),
  }
}

async function requireRow(db: Queryable, name: string): Promise<OrganizationRow> {
  const row = isNamespaceName(name) ? await findOrganization(db, name) : undefined
  if (row === undefined) throw notFound()
  return row
}

/** The id of an organization. @throws AccountError not_found */
export async function requireOrganization(db: Queryable, name: string): Promise<number> {
  return (await requireRow(db, name)).id
}

const nothing = { isMember: false, isAdmin: false, mayCreate: false, seesAll: false }

/** @throws AccountError insufficient_scope for who may read everything and change nothing, their own things neither */
export function checkMayChange({ power }: Account): void {
  if (power === 'reader') throw refusedByPower()
}

function refusedByPower(): AccountError {
  return new AccountError('insufficient_scope', 'Unauthorized')
}

/**
 * The id of an organization in which no one else changes teams and members until the transaction ends.
 * @throws AccountError not_found
 */
export async function requireLocked(tx: Queryable, organization: string): Promise<number> {
  const id = await lockOrganization(tx, organization)
  if (id === undefined) throw notFound()
  return id
}

/** @throws AccountError with the message, when what was done in this transaction leaves an organization without an admin */
export async function checkAdministered(tx: Queryable, organization: number, message: string): Promise<void> {
  if (!(await isAdministered(tx, organization))) throw invalid(message)
}
