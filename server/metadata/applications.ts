import { type Queryable, statement } from './database.ts'

/** An OAuth application with the namespace that it belongs to. */
export interface ApplicationRow {
  client_id: string
  namespace_id: number
  namespace: string
  namespace_kind: 'open' | 'user' | 'organization'
  name: string
  /** Encrypted. */
  client_secret: Buffer
  redirect_uri: string
  application_uri: string
  description: string
  avatar_email: string | null
}

/** What may be said of an application. */
export interface ApplicationFields {
  name: string
  redirectUri: string
  applicationUri: string
  description: string
  avatarEmail: string | null
}

const columns = `
  p.client_id, p.namespace_id, n.name as namespace, n.kind as namespace_kind, p.name, p.client_secret,
  p.redirect_uri, p.application_uri, p.description, p.avatar_email`
const ofOrganization = `n.id = p.namespace_id and n.name = $1 and n.kind = 'organization'`

/** More of them no namespace can have, so that a list of all is bounded. */
export const mostApplications = 500

export interface NewApplication {
  clientId: string
  namespaceId: number
  name: string
  /** Encrypted. */
  clientSecret: Buffer
  description: string
}

const insert = statement(
  'applications.insert',
  `insert into oauth_applications (client_id, namespace_id, name, client_secret, description) values ($1, $2, $3, $4, $5)`,
)

export async function insertApplication(db: Queryable, application: NewApplication): Promise<void> {
  const { clientId, namespaceId, name, clientSecret, description } = application
  await db.change(insert, [clientId, namespaceId, name, clientSecret, description])
}

const findNamed = statement(
  'applications.find_named',
  `select client_id from oauth_applications where namespace_id = $1 and name = $2 order by created_at limit 1`,
)

/** The id of an application of a namespace, by its name; the oldest where there are several. */
export async function findApplicationNamed(
  db: Queryable,
  namespaceId: number,
  name: string,
): Promise<string | undefined> {
  return (await db.row<{ client_id: string }>(findNamed, [namespaceId, name]))?.client_id
}

const create = statement(
  'applications.create',
  `with p as (
     insert into oauth_applications
       (client_id, client_secret, namespace_id, name, redirect_uri, application_uri, description, avatar_email)
     select $2, $3, id, $4, $5, $6, $7, $8 from namespaces
      where name = $1 and kind = 'organization'
        and (select count(*) from oauth_applications o where o.namespace_id = namespaces.id) < ${mostApplications}
     returning *
   )
   select ${columns} from p join namespaces n on n.id = p.namespace_id`,
)

/** @returns undefined where there is no such organization, or it has all that it can have */
export function createApplication(
  db: Queryable,
  organization: string,
  { clientId, clientSecret, ...fields }: ApplicationFields & { clientId: string; clientSecret: Buffer },
): Promise<ApplicationRow | undefined> {
  return db.row<ApplicationRow>(create, [organization, clientId, clientSecret, ...valuesOf(fields)])
}

const listOf = statement(
  'applications.list',
  `select ${columns} from oauth_applications p join namespaces n on ${ofOrganization}
    order by p.name, p.client_id limit ${mostApplications}`,
)

/** All of an organization. */
export function listApplications(db: Queryable, organization: string): Promise<ApplicationRow[]> {
  return db.rows<ApplicationRow>(listOf, [organization])
}

const find = statement(
  'applications.find',
  `select ${columns} from oauth_applications p join namespaces n on n.id = p.namespace_id where p.client_id = $1`,
)
const findIn = statement(
  'applications.find_in',
  `select ${columns} from oauth_applications p join namespaces n on ${ofOrganization} where p.client_id = $2`,
)

export function findApplication(db: Queryable, clientId: string): Promise<ApplicationRow | undefined> {
  return db.row<ApplicationRow>(find, [clientId])
}

/** As `findApplication`, if it is one of the organization's. */
export function findApplicationOf(
  db: Queryable,
  organization: string,
  clientId: string,
): Promise<ApplicationRow | undefined> {
  return db.row<ApplicationRow>(findIn, [organization, clientId])
}

const change = statement(
  'applications.change',
  `update oauth_applications p set name = $3, redirect_uri = $4, application_uri = $5, description = $6, avatar_email = $7
     from namespaces n where ${ofOrganization} and p.client_id = $2 returning ${columns}`,
)

export function changeApplication(
  db: Queryable,
  organization: string,
  { clientId, ...fields }: ApplicationFields & { clientId: string },
): Promise<ApplicationRow | undefined> {
  return db.row<ApplicationRow>(change, [organization, clientId, ...valuesOf(fields)])
}

const changeSecret = statement(
  'applications.change_secret',
  `update oauth_applications p set client_secret = $3
     from namespaces n where ${ofOrganization} and p.client_id = $2 returning ${columns}`,
)

export function changeApplicationSecret(
  db: Queryable,
  organization: string,
  { clientId, clientSecret }: { clientId: string; clientSecret: Buffer },
): Promise<ApplicationRow | undefined> {
  return db.row<ApplicationRow>(changeSecret, [organization, clientId, clientSecret])
}

const remove = statement(
  'applications.remove',
  `delete from oauth_applications p using namespaces n where ${ofOrganization} and p.client_id = $2`,
)

/** Removes it with all its tokens. @returns whether it was there */
export async function removeApplication(db: Queryable, organization: string, clientId: string): Promise<boolean> {
  return (await db.change(remove, [organization, clientId])) > 0
}

function valuesOf(fields: ApplicationFields): (string | null)[] {
  const { name, redirectUri, applicationUri, description, avatarEmail } = fields
  return [name, redirectUri, applicationUri, description, avatarEmail]
}

/** A token of an OAuth application, without what it is shown by. */
export interface OAuthTokenRow {
  id: string
  name: string
  scopes: string[]
  created_at: Date
  expires_at: Date
  last_accessed_at: Date | null
  /** The user that it acts as. */
  account: string
}

export interface NewOAuthToken {
  applicationId: string
  /** The account that the token acts as. */
  account: number
  name: string
  hash: Buffer
  scopes: readonly string[]
  createdBy: number | null
  expiresAt: Date
}

const insertToken = statement(
  'applications.insert_token',
  `with t as (
     insert into oauth_tokens (application_id, account_id, name, hash, scopes, created_by, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7) returning *
   )
   select t.id, t.name, t.scopes, t.created_at, t.expires_at, t.last_accessed_at, a.name as account
     from t join accounts a on a.id = t.account_id`,
)

export async function insertOAuthToken(db: Queryable, token: NewOAuthToken): Promise<OAuthTokenRow> {
  const { applicationId, account, name, hash, scopes, createdBy, expiresAt } = token
  const values = [applicationId, account, name, hash, [...scopes], createdBy, expiresAt]
  const row = await db.row<OAuthTokenRow>(insertToken, values)
  if (row === undefined) throw new Error('a token was inserted, and did not come back')
  return row
}

const listTokens = statement(
  'applications.list_tokens',
  `select t.id, t.name, t.scopes, t.created_at, t.expires_at, t.last_accessed_at, a.name as account
     from oauth_tokens t join accounts a on a.id = t.account_id
    where t.application_id = $1 and t.expires_at > now()
      and ($2::uuid is null or (t.created_at, t.id) < (select created_at, id from oauth_tokens where id = $2::uuid))
    order by t.created_at desc, t.id desc limit $3`,
)

/** Those of an application that are good, the newest first. @param after the last one of the page before */
export function listOAuthTokens(
  db: Queryable,
  applicationId: string,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<OAuthTokenRow[]> {
  return db.rows<OAuthTokenRow>(listTokens, [applicationId, after, limit])
}

const removeToken = statement(
  'applications.remove_token',
  `delete from oauth_tokens where application_id = $1 and id = $2::uuid`,
)

/** @returns whether it was there */
export async function removeOAuthToken(db: Queryable, applicationId: string, id: string): Promise<boolean> {
  return (await db.change(removeToken, [applicationId, id])) > 0
}
