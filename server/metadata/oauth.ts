import { type Queryable, statement } from './database.ts'

/** A token as its user sees it, with the application that has it. */
export interface AuthorizationRow {
  id: string
  scopes: string[]
  application_name: string
  application_uri: string
  description: string
  avatar_email: string | null
  client_id: string
  organization: string
}

const authorization = `
  select t.id, t.scopes, p.name as application_name, p.application_uri, p.description, p.avatar_email, p.client_id,
         n.name as organization
    from oauth_tokens t
    join oauth_applications p on p.client_id = t.application_id
    join namespaces n on n.id = p.namespace_id
   where t.account_id = $1 and t.expires_at > now()`

const listOf = statement('oauth.list_authorizations', `${authorization} order by t.created_at desc, t.id desc limit $2`)
const findOf = statement('oauth.find_authorization', `${authorization} and t.id = $2::uuid`)

/** The tokens that act as an account, the newest first. */
export function listAuthorizations(db: Queryable, account: number, limit: number): Promise<AuthorizationRow[]> {
  return db.rows<AuthorizationRow>(listOf, [account, limit])
}

export function findAuthorization(db: Queryable, account: number, id: string): Promise<AuthorizationRow | undefined> {
  return db.row<AuthorizationRow>(findOf, [account, id])
}

const removeOf = statement(
  'oauth.remove_authorization',
  `delete from oauth_tokens where account_id = $1 and id = $2::uuid`,
)

/** @returns whether it was there */
export async function removeAuthorization(db: Queryable, account: number, id: string): Promise<boolean> {
  return (await db.change(removeOf, [account, id])) > 0
}

export interface NewCode {
  hash: Buffer
  applicationId: string
  account: number
  redirectUri: string
  scopes: readonly string[]
  lifetimeSeconds: number
}

const insertCode = statement(
  'oauth.insert_code',
  `with over as (delete from oauth_codes where expires_at <= now())
   insert into oauth_codes (hash, application_id, account_id, redirect_uri, scopes, expires_at)
   values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))`,
)

export async function insertOAuthCode(db: Queryable, code: NewCode): Promise<void> {
  const { hash, applicationId, account, redirectUri, scopes, lifetimeSeconds } = code
  await db.change(insertCode, [hash, applicationId, account, redirectUri, [...scopes], lifetimeSeconds])
}

export interface CodeRow {
  account_id: number
  scopes: string[]
}

const takeCode = statement(
  'oauth.take_code',
  `with taken as (delete from oauth_codes where hash = $1 returning *)
   select c.account_id, c.scopes
     from taken c join accounts a on a.id = c.account_id and a.enabled
    where c.application_id = $2 and c.redirect_uri = $3 and c.expires_at > now()`,
)

/** What a code was good for, whoever shows it: it is good for nothing after that. */
export function takeOAuthCode(
  db: Queryable,
  { hash, applicationId, redirectUri }: { hash: Buffer; applicationId: string; redirectUri: string },
): Promise<CodeRow | undefined> {
  return db.row<CodeRow>(takeCode, [hash, applicationId, redirectUri])
}
