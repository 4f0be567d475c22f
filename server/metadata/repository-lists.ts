import type { RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'
import { containing } from './patterns.ts'
import { ofAccount, type RepositoryId } from './repositories.ts'

/** A repository as the lists of the REST API show it. */
export interface RepositoryRow {
  id: RepositoryId
  name: RepositoryName
  description: string
  visibility: 'public' | 'private'
  state: 'normal' | 'read_only' | 'mirror'
  is_starred: boolean
  /** When a live tag began last; null also where it was not asked for. */
  last_modified: Date | null
}

/** Who looks: an account with what it has something to do with, or one who sees everything. */
export interface Viewer {
  account: number | undefined
  all: boolean
}

export interface ListBounds {
  /** The name before, exclusive. */
  after: string
  limit: number
  /** Whether to look for the newest tags. */
  lastModified: boolean
}

const lastModified = `(select max(t.lifetime_start) from tags t where t.repository_id = r.id and t.lifetime_end is null)`
const columns = `
  r.id, r.name, r.description, r.visibility, r.state,
  exists (select from stars s where s.account_id = $3 and s.repository_id = r.id) as is_starred,
  case when $5::boolean then ${lastModified} end as last_modified`

/**
 * In the REST API `nginx` is `library/nginx`: where there is one of that name, it stands for both. (With its limit, the
 * inner question is never answered by reading all names.)
 */
const shown = `(position('/' in r.name) > 0
  or (select l.id from repositories l where l.name = 'library/' || r.name limit 1) is null)`

// Not by a join: with one number of a namespace, an index has its names in order.
const ofNamespace = statement(
  'repository_lists.of_namespace',
  `select ${columns}
     from repositories r
    where r.namespace_id = (select id from namespaces where name = $7) and r.name > $1 and ($4 or ($6 and r.visibility = 'public') or r.id in (${ofAccount('$3::bigint')}))
      and ${shown}
    order by r.name limit $2`,
)

/** Those of a namespace; with `public` also what is open to everyone. */
export async function namespacePage(
  db: Queryable,
  { after, limit, lastModified }: ListBounds,
  { account, all }: Viewer,
  { namespace, includePublic }: { namespace: string; includePublic: boolean },
): Promise<RepositoryRow[]> {
  const values = [after, limit, account, all, lastModified, includePublic, namespace]
  return db.rows<RepositoryRow>(ofNamespace, values)
}

/** Of one kind, in order. */
const some = (condition: string) =>
  `(select r.id, r.name from repositories r
     where ${condition} and r.deleted_at is null and r.name > $1 and ${shown} order by r.name limit $2)`

// Each in the order of an index: what is public, what the account has something to do with, or all.
const everywhere = statement(
  'repository_lists.everywhere',
  `with page as (
     select id, name from (
       ${some(`r.visibility = 'public'`)} union ${some(`r.id in (${ofAccount('$3::bigint')})`)} union ${some('$4')}
     ) as seen order by name limit $2
   )
   select ${columns} from page join repositories r on r.id = page.id order by r.name`,
)

/** What is open to everyone, and what the account has something to do with, in all namespaces. */
export async function visiblePage(
  db: Queryable,
  { after, limit, lastModified }: ListBounds,
  { account, all }: Viewer,
): Promise<RepositoryRow[]> {
  return db.rows<RepositoryRow>(everywhere, [after, limit, account, all, lastModified])
}

const starred = statement(
  'repository_lists.starred',
  `select ${columns}
     from stars mark join repositories r on r.id = mark.repository_id
    where mark.account_id = $3 and r.deleted_at is null and r.name > $1
      and ($4 or r.visibility = 'public' or r.id in (${ofAccount('$3::bigint')})) and ${shown}
    order by r.name limit $2`,
)

/** What an account has starred and still may read. */
export async function starredPage(
  db: Queryable,
  { after, limit, lastModified }: ListBounds,
  { account, all }: Viewer,
): Promise<RepositoryRow[]> {
  return db.rows<RepositoryRow>(starred, [after, limit, account, all, lastModified])
}

export interface FoundRow extends RepositoryRow {
  stars: number
  namespace_kind: 'open' | 'user' | 'organization'
}

const fullName = `case when position('/' in r.name) = 0 then 'library/' || r.name else r.name end`
const match = `r.deleted_at is null and ${fullName} like $6 and ${shown}`

// The nearer the text is to the whole name or its last part, the better. Names alone are read, from an index.
const find = statement(
  'repository_lists.find',
  `with found as (
     select id, name, case when name = $7 or name like '%/' || $7 then 0 when name like '%/' || $7 || '%' then 1 else 2 end as rank
       from (select r.id, r.name from repositories r where ${match} and r.visibility = 'public' and not $4
             union
             select r.id, r.name from repositories r where ${match} and r.id in (${ofAccount('$3::bigint')}) and not $4
             union
             select r.id, r.name from repositories r where ${match} and $4) as matching
      order by rank, name limit $2 offset $1
   )
   select ${columns}, n.kind as namespace_kind, (select count(*) from stars s where s.repository_id = r.id) as stars
     from found join repositories r on r.id = found.id join namespaces n on n.id = r.namespace_id
    order by found.rank, r.name`,
)

/** Repositories with a text in their names, of those that someone may see; the nearest first. */
export async function findRepositories(
  db: Queryable,
  text: string,
  { offset, limit }: { offset: number; limit: number },
  { account, all }: Viewer,
): Promise<FoundRow[]> {
  return db.rows<FoundRow>(find, [offset, limit, account, all, true, containing(text), text])
}

export interface RepositoryView extends Omit<RepositoryRow, 'last_modified'> {
  namespace_kind: 'open' | 'user' | 'organization'
  tag_expiration_s: number
}

const view = statement(
  'repository_lists.view',
  `select r.id, r.name, r.description, r.visibility, r.state, n.kind as namespace_kind, n.tag_expiration_s,
          exists (select from stars s where s.account_id = $2 and s.repository_id = r.id) as is_starred
     from repositories r join namespaces n on n.id = r.namespace_id
    where r.id = $1 and r.deleted_at is null`,
)

/** One repository as an account, or someone without one, sees it. */
export async function viewRepository(
  db: Queryable,
  id: RepositoryId,
  account: number | undefined,
): Promise<RepositoryView | undefined> {
  return db.row<RepositoryView>(view, [id, account])
}

const change = statement(
  'repository_lists.change',
  `update repositories
      set description = coalesce($2, description), visibility = coalesce($3, visibility), state = coalesce($4, state)
    where id = $1 and deleted_at is null`,
)

export interface RepositoryChange {
  description?: string
  visibility?: 'public' | 'private'
  state?: 'normal' | 'read_only'
}

/** @returns false when it is not there any more */
export async function changeRepository(
  db: Queryable,
  id: RepositoryId,
  { description, visibility, state }: RepositoryChange,
): Promise<boolean> {
  return (await db.change(change, [id, description, visibility, state])) > 0
}
