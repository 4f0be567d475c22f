import { namespaceOf, type RepositoryName } from '../oci/repository-name.ts'
import { type Database, type Queryable, statement } from './database.ts'
import { rightsColumns, type RightsRow } from './rights.ts'
import { nobody } from './uploads.ts'

/** The row's number; other tables refer to it. */
export type RepositoryId = number

const find = statement('repositories.find', `select id from repositories where name = $1`)

export async function findRepository(db: Queryable, name: RepositoryName): Promise<RepositoryId | undefined> {
  return (await db.row<{ id: RepositoryId }>(find, [name]))?.id
}

/** A repository that is there. */
export interface RepositoryPlace {
  id: RepositoryId
  name: RepositoryName
}

const findAmong = statement(
  'repositories.find_among',
  `select r.id, r.name, ${rightsColumns}
     from (values ($1::text[], $2::text, $3::bigint)) as asked (names, namespace, account)
     left join lateral (
       select c.id, c.name, c.namespace_id, c.visibility, c.state from repositories c
        where c.name = any(asked.names) and c.deleted_at is null order by array_position(asked.names, c.name) limit 1
     ) as r on true
     left join namespaces n on n.name = asked.namespace
     left join accounts a on a.id = asked.account and a.enabled`,
)

/**
 * The first of these names that is a repository's, with what someone may do there, by one statement.
 * @param account undefined for who has none
 */
export async function findRepositoryRights(
  db: Queryable,
  names: readonly [RepositoryName, ...RepositoryName[]],
  account: number | undefined,
): Promise<RightsRow & { [Key in keyof RepositoryPlace]: RepositoryPlace[Key] | null }> {
  const row = await db.row<RightsRow & { id: RepositoryId | null; name: RepositoryName | null }>(findAmong, [
    names,
    namespaceOf(names[0]),
    account,
  ])
  if (row === undefined) throw new Error('one row was asked for, and none came')
  return row
}

const ensureNamespace = statement(
  'repositories.ensure_namespace',
  `insert into namespaces (name) values ($1) on conflict (name) do nothing`,
)
const ensure = statement(
  'repositories.ensure',
  `insert into repositories (namespace_id, name) select id, $2 from namespaces where name = $1 on conflict (name) do nothing`,
)

/** The repository's id, made with its namespace if there was none. Each statement commits by itself, so that two
 * first pushes at once do not wait for each other's whole transaction. */
export async function ensureRepository(db: Database, name: RepositoryName): Promise<RepositoryId> {
  for (;;) {
    const id = await findRepository(db, name)
    if (id !== undefined) return id
    await db.change(ensureNamespace, [namespaceOf(name)])
    await db.change(ensure, [namespaceOf(name), name])
  }
}

/** What a repository begins with where there are accounts. */
export interface NewRepository {
  name: RepositoryName
  visibility: 'public' | 'private'
  description: string
  /** Who gets the role of its admin; null where a process makes it. */
  creator: number | null
}

// The default permissions of its namespace come with it; the strongest where two name the same delegate.
const create = statement(
  'repositories.create',
  `with made as (
     insert into repositories (namespace_id, name, visibility, description)
     select n.id, $2, $3, $4 from namespaces n where n.name = $1 for key share
     on conflict (name) do nothing
     returning id, namespace_id
   ), admin as (
     insert into repository_permissions (repository_id, account_id, role)
     select made.id, $5::bigint, 'admin' from made where $5::bigint is not null
   ), others as (
     insert into repository_permissions (repository_id, account_id, team_id, role)
     select distinct on (d.account_id, d.team_id) made.id, d.account_id, d.team_id, d.role
       from made join default_permissions d on d.namespace_id = made.namespace_id
      where (d.creator_id is null or d.creator_id = $5::bigint) and d.account_id is distinct from $5::bigint
      order by d.account_id, d.team_id, d.role desc
   )
   select id from made`,
)

/** Makes a repository in a namespace that is there. @returns undefined when there is such a repository, or no such namespace */
export async function createRepository(
  db: Queryable,
  { name, visibility, description, creator }: NewRepository,
): Promise<RepositoryId | undefined> {
  const row = await db.row<{ id: RepositoryId }>(create, [namespaceOf(name), name, visibility, description, creator])
  return row?.id
}

const page = statement(
  'repositories.page',
  `select name from repositories where name > $1 and name < '~' order by name limit $2`,
)

/** Names after `after` in byte order, at most `limit`. */
export async function repositoryPage(
  db: Queryable,
  { after, limit }: { after: string; limit: number },
): Promise<RepositoryName[]> {
  const rows = await db.rows<{ name: RepositoryName }>(page, [after, limit])
  return rows.map(row => row.name)
}

/** The ids of the repositories that an account has something to do with, whatever else others may see. */
export const ofAccount = (id: string) => `
  select p.repository_id from repository_permissions p where p.account_id = ${id}
  union all
  select p.repository_id from team_members m join repository_permissions p on p.team_id = m.team_id where m.account_id = ${id}
  union all
  select o.id from accounts a join repositories o on o.namespace_id = a.namespace_id where a.id = ${id} and a.kind = 'user'
  union all
  select o.id from team_members m join teams t on t.id = m.team_id and t.role = 'admin'
                   join repositories o on o.namespace_id = t.namespace_id where m.account_id = ${id}`

// Two lists, each in order: what is public, and what the account has something to do with, which are never many.
const visiblePage = statement(
  'repositories.visible_page',
  `select name from (
     (select r.name from repositories r
       where $4 and r.visibility = 'public' and r.deleted_at is null and r.name > $1 order by r.name limit $2)
     union
     (select r.name from repositories r
       where r.deleted_at is null and r.name > $1 and r.id in (${ofAccount('$3')})
       order by r.name limit $2)
   ) as seen order by name limit $2`,
)

/** As `repositoryPage`, of those that an account may read. @param who without an id: of the public ones alone */
export async function visibleRepositoryPage(
  db: Queryable,
  { after, limit }: { after: string; limit: number },
  who: { id: number | undefined; public: boolean },
): Promise<RepositoryName[]> {
  const rows = await db.rows<{ name: RepositoryName }>(visiblePage, [after, limit, who.id, who.public])
  return rows.map(row => row.name)
}

// Its name is free at once, and no query by name finds it; it belongs to no namespace, so that one can go. Uploads to it
// are no one's from now on: their bytes go when they expire.
const buried = `set deleted_at = now(), name = '~deleted/' || id, namespace_id = null`
/** No one has anything to do with it any more. */
const unlink = (ids: string) => `permissions as (
     delete from repository_permissions where repository_id in (${ids})
   ), starred as (
     delete from stars where repository_id in (${ids})
   )`
const remove = statement(
  'repositories.remove',
  `with gone as (
     update repositories ${buried} where id = $1 and name = $2 and deleted_at is null returning id
   ), ${unlink('select id from gone')}, abandoned as (
     update uploads set owner = '${nobody}', holder = null where repository = $2 and exists (select from gone)
   )
   select id from gone`,
)

/**
 * Deletes a repository for every client; its rows go later. The memories of the process have to hear of it:
 * server/registry/repositories.ts, `RepositoryChanges`.
 * @returns false when there is no such repository: another one of its name is not touched
 */
export async function deleteRepository(db: Queryable, { id, name }: RepositoryPlace): Promise<boolean> {
  return (await db.row(remove, [id, name])) !== undefined
}

// In one order, that of their ids, for two who delete at once.
const removeAll = statement(
  'repositories.remove_all_of_namespace',
  `with going as materialized (
     select id, name from repositories where namespace_id = $1 order by id for update
   ), gone as (
     update repositories ${buried} where id in (select id from going)
   ), ${unlink('select id from going')}, abandoned as (
     update uploads set owner = '${nobody}', holder = null where repository in (select name from going)
   )
   select count(*) as repositories from going`,
)

/**
 * As `deleteRepository`, of all in a namespace, whose row may then be deleted in the same transaction: keep others from
 * making new ones by locking that row first. @returns how many there were
 */
export async function deleteNamespaceRepositories(tx: Queryable, namespaceId: number): Promise<number> {
  return (await tx.row<{ repositories: number }>(removeAll, [namespaceId]))?.repositories ?? 0
}
