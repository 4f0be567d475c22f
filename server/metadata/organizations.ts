import { type Queryable, statement } from './database.ts'

export interface OrganizationRightsRow {
  id: number
  is_member: boolean
  is_admin: boolean
  may_create: boolean
}

const rights = statement(
  'organizations.rights',
  `select n.id,
          count(t.id) > 0 as is_member,
          coalesce(bool_or(t.role = 'admin'), false) as is_admin,
          coalesce(bool_or(t.role in ('creator', 'admin')), false) as may_create
     from namespaces n
     left join (team_members m join teams t on t.id = m.team_id) on t.namespace_id = n.id and m.account_id = $2
    where n.name = $1 and n.kind = 'organization'
    group by n.id`,
)

/** What an account is in an organization; undefined when there is no such organization. */
export function findOrganizationRights(
  db: Queryable,
  organization: string,
  account: number,
): Promise<OrganizationRightsRow | undefined> {
  return db.row<OrganizationRightsRow>(rights, [organization, account])
}

export interface OrganizationRow {
  id: number
  name: string
  email: string | null
  invoice_email: boolean
  invoice_email_address: string | null
  tag_expiration_s: number
}

const find = statement(
  'organizations.find',
  `select id, name, email, invoice_email, invoice_email_address, tag_expiration_s
     from namespaces where name = $1 and kind = 'organization'`,
)

export function findOrganization(db: Queryable, name: string): Promise<OrganizationRow | undefined> {
  return db.row<OrganizationRow>(find, [name])
}

const lock = statement(
  'organizations.lock',
  `select id from namespaces where name = $1 and kind = 'organization' for no key update`,
)

/**
 * Keeps others from changing who belongs to an organization until the transaction ends; repositories may come meanwhile.
 * @returns its id; undefined when there is no such organization
 */
export async function lockOrganization(tx: Queryable, name: string): Promise<number | undefined> {
  return (await tx.row<{ id: number }>(lock, [name]))?.id
}

const create = statement(
  'organizations.create',
  `with namespace as (
     insert into namespaces (name, kind, email) values ($1, 'organization', $2)
     on conflict (name) do update set kind = 'organization', email = excluded.email where namespaces.kind = 'open' and $4
     returning id
   ), team as (
     insert into teams (namespace_id, name, role) select id, 'owners', 'admin' from namespace
     returning id, namespace_id
   ), member as (
     insert into team_members (team_id, account_id) select id, $3 from team
   )
   select id from namespace`,
)

/**
 * Makes an organization with a team `owners`, whose only member is its creator.
 * @param takesOpen whether it may take over a namespace that came into being by pushes without accounts
 * @returns its id; undefined when the name is taken
 */
export async function createOrganization(
  db: Queryable,
  { name, email, creator }: { name: string; email: string | null; creator: number },
  { takesOpen }: { takesOpen: boolean },
): Promise<number | undefined> {
  return (await db.row<{ id: number }>(create, [name, email, creator, takesOpen]))?.id
}

const update = statement(
  'organizations.update',
  `update namespaces set email = $2, invoice_email = $3, invoice_email_address = $4, tag_expiration_s = $5 where id = $1`,
)

/** Writes down all that can be changed of an organization. */
export async function updateOrganization(db: Queryable, row: Omit<OrganizationRow, 'name'>): Promise<void> {
  await db.change(update, [row.id, row.email, row.invoice_email, row.invoice_email_address, row.tag_expiration_s])
}
