import { type Queryable, statement } from './database.ts'
import { deleteNamespaceRepositories } from './repositories.ts'

/** Namespaces as a whole, whoever's they are: what ends, turns or renames one with all that is in it. */

export interface NamespaceRow {
  id: number
  name: string
  kind: 'open' | 'user' | 'organization'
  /** The user whose it is; null for others. */
  account_id: number | null
}

const lock = statement(
  'namespaces.lock',
  `select n.id, n.name, n.kind, a.id as account_id
     from namespaces n left join accounts a on a.namespace_id = n.id and a.kind = 'user'
    where n.name = $1 for update of n`,
)

/** The namespace of a name; nothing new comes into it, and no one else changes it, until the transaction ends. */
export function lockNamespace(tx: Queryable, name: string): Promise<NamespaceRow | undefined> {
  return tx.row<NamespaceRow>(lock, [name])
}

const remove = statement('namespaces.remove', `delete from namespaces where id = $1`)

/**
 * Ends a namespace that is locked, with its repositories, robots, teams, applications and, where it is a user's, the user
 * with all sessions and tokens. Its name is free again. The memories of the process have to hear of it.
 */
export async function removeNamespace(tx: Queryable, namespace: number): Promise<void> {
  await deleteNamespaceRepositories(tx, namespace)
  await tx.change(remove, [namespace])
}

const removeUser = statement('namespaces.remove_user', `delete from accounts where namespace_id = $1 and kind = 'user'`)
const becomeOrganization = statement(
  'namespaces.become_organization',
  `update namespaces set kind = 'organization' where id = $1`,
)
// A team `owners` that is there already, but has lost its role, gets it back.
const addAdmin = statement(
  'namespaces.add_admin',
  `with admins as (
     select id from teams where namespace_id = $1 and role = 'admin' order by id limit 1
   ), made as (
     insert into teams (namespace_id, name, role) select $1, 'owners', 'admin' where not exists (select from admins)
     on conflict (namespace_id, name) do update set role = 'admin'
     returning id
   )
   insert into team_members (team_id, account_id)
   select id, $2 from (select id from admins union all select id from made) as teams
   on conflict do nothing`,
)

/**
 * Turns a user's namespace, or one that came by pushes without accounts, into an organization with one admin. The user is
 * no more; repositories and robots stay.
 */
export async function turnIntoOrganization(tx: Queryable, namespace: number, admin: number): Promise<void> {
  await tx.change(removeUser, [namespace])
  await tx.change(becomeOrganization, [namespace])
  await tx.change(addAdmin, [namespace, admin])
}

/** Makes an account a member of a team of an organization's admins. */
export async function addOrganizationAdmin(tx: Queryable, namespace: number, admin: number): Promise<void> {
  await tx.change(addAdmin, [namespace, admin])
}

const isTaken = statement('namespaces.is_taken', `select 1 from namespaces where name = $1`)
const longest = statement(
  'namespaces.longest',
  `select name from repositories where namespace_id = $1 order by char_length(name) desc limit 1`,
)
const rename = statement('namespaces.rename', `update namespaces set name = $2 where id = $1`)
const renameRepositories = statement(
  'namespaces.rename_repositories',
  `update repositories set name = $3 || substr(name, char_length($2) + 1) where namespace_id = $1`,
)
const renameRobots = statement(
  'namespaces.rename_robots',
  `update accounts set name = $3 || substr(name, char_length($2) + 1) where namespace_id = $1 and kind = 'robot'`,
)
export async function isNamespaceTaken(db: Queryable, name: string): Promise<boolean> {
  return (await db.row(isTaken, [name])) !== undefined
}

/** The longest name of a repository in it; undefined without any. */
export async function longestRepositoryName(db: Queryable, namespace: number): Promise<string | undefined> {
  return (await db.row<{ name: string }>(longest, [namespace]))?.name
}

/**
 * Gives a namespace that is no user's another name, and with it its repositories and its robots.
 * @throws DatabaseError 23505 when the name is taken
 */
export async function renameNamespace(
  tx: Queryable,
  { id, name }: Pick<NamespaceRow, 'id' | 'name'>,
  newName: string,
): Promise<void> {
  await tx.change(rename, [id, newName])
  await tx.change(renameRepositories, [id, name, newName])
  await tx.change(renameRobots, [id, name, newName])
}

/** An organization as the superusers' list has it. */
export interface OrganizationRow {
  id: number
  name: string
  email: string | null
}

const organizationColumns = `id, name, coalesce(contact_email, email) as email`
const organizations = statement(
  'namespaces.organization_page',
  `select ${organizationColumns} from namespaces where kind = 'organization' and id > $1 order by id limit $2`,
)

/** Organizations in the order in which they were made, those after the id `after`. */
export function organizationPage(
  db: Queryable,
  { after, limit }: { after: number; limit: number },
): Promise<OrganizationRow[]> {
  return db.rows<OrganizationRow>(organizations, [after, limit])
}

const organization = statement(
  'namespaces.organization',
  `select ${organizationColumns} from namespaces where kind = 'organization' and name = $1`,
)

export function findOrganizationRow(db: Queryable, name: string): Promise<OrganizationRow | undefined> {
  return db.row<OrganizationRow>(organization, [name])
}
