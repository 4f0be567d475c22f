import { type Queryable, statement } from './database.ts'

/** A user with the namespace of the same name. */
export interface UserRow {
  id: number
  namespace_id: number
  name: string
  enabled: boolean
  created_at: Date
  last_accessed_at: Date | null
  email: string | null
  verified: boolean
  superuser: boolean
  has_password: boolean
  given_name: string | null
  family_name: string | null
  company: string | null
  location: string | null
  tag_expiration_s: number
  invoice_email: boolean
  invoice_email_address: string | null
}

const userColumns = `
  a.id, a.namespace_id, a.name, a.enabled, a.created_at, a.last_accessed_at,
  u.email, u.verified, u.superuser, u.password_hash is not null as has_password,
  u.given_name, u.family_name, u.company, u.location,
  n.tag_expiration_s, n.invoice_email, n.invoice_email_address`
const userTables = `accounts a join users u on u.account_id = a.id join namespaces n on n.id = a.namespace_id`

const findById = statement('accounts.find_user_by_id', `select ${userColumns} from ${userTables} where a.id = $1`)
const findByName = statement('accounts.find_user_by_name', `select ${userColumns} from ${userTables} where a.name = $1`)
const findByEmail = statement(
  'accounts.find_user_by_email',
  `select ${userColumns} from ${userTables} where lower(u.email) = lower($1)`,
)

export function findUserById(db: Queryable, id: number): Promise<UserRow | undefined> {
  return db.row<UserRow>(findById, [id])
}

export function findUser(db: Queryable, name: string): Promise<UserRow | undefined> {
  return db.row<UserRow>(findByName, [name])
}

export function findUserByEmail(db: Queryable, email: string): Promise<UserRow | undefined> {
  return db.row<UserRow>(findByEmail, [email])
}

export interface NewUser {
  name: string
  /** bcrypt; null for one who can't log in by a password. */
  passwordHash: string | null
  email: string | null
  verified: boolean
  superuser: boolean
}

// A namespace that came by pushes without accounts becomes the user's.
const create = statement(
  'accounts.create_user',
  `with namespace as (
     insert into namespaces (name, kind, email) values ($1, 'user', $3)
     on conflict (name) do update set kind = 'user', email = excluded.email where namespaces.kind = 'open' and $6
     returning id
   ), account as (
     insert into accounts (kind, name, namespace_id) select 'user', $1, id from namespace
     returning id
   )
   insert into users (account_id, password_hash, email, verified, superuser)
   select id, $2, $3, $4, $5 from account
   returning account_id as id`,
)

/**
 * Makes a user with a namespace.
 * @param takesOpen whether it may take over a namespace that came into being by pushes without accounts
 * @returns the account's id; undefined when the name is taken @throws DatabaseError 23505 when the e-mail address is
 */
export async function createUser(
  db: Queryable,
  { name, passwordHash, email, verified, superuser }: NewUser,
  { takesOpen }: { takesOpen: boolean },
): Promise<number | undefined> {
  const row = await db.row<{ id: number }>(create, [name, passwordHash, email, verified, superuser, takesOpen])
  return row?.id
}

const any = statement('accounts.any_user', `select 1 from users limit 1`)

export async function hasUsers(db: Queryable): Promise<boolean> {
  return (await db.row(any)) !== undefined
}

const lockUsers = statement('accounts.lock_users', `lock table users in share row exclusive mode`)

/** Keeps others from making users until the transaction ends. */
export async function lockUserTable(tx: Queryable): Promise<void> {
  await tx.change(lockUsers)
}

const page = statement(
  'accounts.user_page',
  `select ${userColumns} from users u join accounts a on a.id = u.account_id join namespaces n on n.id = a.namespace_id
    where u.account_id > $1 and (a.enabled or $2) order by u.account_id limit $3`,
)

/** Users in the order in which they were made, those after the id `after`. @param options whether disabled ones are among them */
export function userPage(
  db: Queryable,
  { after, limit, disabled }: { after: number; limit: number; disabled: boolean },
): Promise<UserRow[]> {
  return db.rows<UserRow>(page, [after, disabled, limit])
}

/** What is changed of a user: what is undefined stays as it is. */
export interface UserChanges {
  email?: string | undefined
  given_name?: string | null | undefined
  family_name?: string | null | undefined
  company?: string | null | undefined
  location?: string | null | undefined
  tag_expiration_s?: number | undefined
  invoice_email?: boolean | undefined
  invoice_email_address?: string | null | undefined
}

/** Of the JSON object in $2: the text of a key, or the column where the object does not have it. */
const changedText = (column: string) =>
  `${column} = case when $2::jsonb ? '${column}' then $2::jsonb ->> '${column}' else ${column} end`

const change = statement(
  'accounts.change_user',
  `with changed as (
     update users set ${['email', 'given_name', 'family_name', 'company', 'location'].map(changedText).join(', ')}
      where account_id = $1
   )
   update namespaces n
      set ${['email', 'invoice_email_address'].map(column => changedText(column).replaceAll(`else ${column}`, `else n.${column}`)).join(', ')},
          invoice_email = coalesce(($2::jsonb ->> 'invoice_email')::boolean, n.invoice_email),
          tag_expiration_s = coalesce(($2::jsonb ->> 'tag_expiration_s')::integer, n.tag_expiration_s)
     from accounts a where a.id = $1 and n.id = a.namespace_id`,
)

/** @throws DatabaseError 23505 when the e-mail address is another's */
export async function changeUser(db: Queryable, id: number, changes: UserChanges): Promise<void> {
  await db.change(change, [id, JSON.stringify(changes)])
}

const setHash = statement('accounts.set_password', `update users set password_hash = $2 where account_id = $1`)

export async function setPasswordHash(db: Queryable, id: number, hash: string): Promise<void> {
  await db.change(setHash, [id, hash])
}

const setEnabled = statement(
  'accounts.set_enabled',
  `update accounts set enabled = $2
    where id = $1 or (kind = 'robot' and namespace_id = (select namespace_id from accounts where id = $1))`,
)

/** Of a user and of the user's robots: whoever is disabled logs in by no means at all. */
export async function setUserEnabled(db: Queryable, id: number, enabled: boolean): Promise<void> {
  await db.change(setEnabled, [id, enabled])
}

const setPower = statement('accounts.set_superuser', `update users set superuser = $2 where account_id = $1`)

export async function setSuperuser(db: Queryable, id: number, superuser: boolean): Promise<void> {
  await db.change(setPower, [id, superuser])
}

/** An organization that someone is a member of. */
export interface MembershipRow {
  name: string
  is_admin: boolean
  may_create: boolean
}

/** More than anyone is a member of. */
const mostMemberships = 1000

const memberships = statement(
  'accounts.memberships',
  `select n.name, bool_or(t.role = 'admin') as is_admin, bool_or(t.role in ('creator', 'admin')) as may_create
     from team_members m join teams t on t.id = m.team_id join namespaces n on n.id = t.namespace_id
    where m.account_id = $1 and n.kind = 'organization'
    group by n.id order by n.name limit ${mostMemberships}`,
)

/** The organizations of an account, by name. */
export function membershipsOf(db: Queryable, account: number): Promise<MembershipRow[]> {
  return db.rows<MembershipRow>(memberships, [account])
}

const solelyAdmined = statement(
  'accounts.solely_admined',
  `select n.name
     from team_members m join teams t on t.id = m.team_id and t.role = 'admin' join namespaces n on n.id = t.namespace_id
    where m.account_id = $1 and n.kind = 'organization' and not exists (
      select from team_members o join teams ot on ot.id = o.team_id and ot.role = 'admin' join accounts a on a.id = o.account_id
       where ot.namespace_id = n.id and o.account_id <> $1 and a.kind = 'user')
    group by n.name order by n.name limit 10`,
)

/** Organizations that would have no admin without this one: the first ten. */
export async function solelyAdminedBy(db: Queryable, account: number): Promise<string[]> {
  return (await db.rows<{ name: string }>(solelyAdmined, [account])).map(row => row.name)
}
