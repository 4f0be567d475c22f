import { namespaceOf, type RepositoryName } from '../oci/repository-name.ts'
import { type Database, type Queryable, statement } from './database.ts'

/** The row's number; other tables refer to it. */
export type RepositoryId = number

const find = statement('repositories.find', `select id from repositories where name = $1`)

export async function findRepository(db: Queryable, name: RepositoryName): Promise<RepositoryId | undefined> {
  return (await db.row<{ id: RepositoryId }>(find, [name]))?.id
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

const page = statement('repositories.page', `select name from repositories where name > $1 order by name limit $2`)

/** Names after `after` in byte order, at most `limit`. */
export async function repositoryPage(
  db: Queryable,
  { after, limit }: { after: string; limit: number },
): Promise<RepositoryName[]> {
  const rows = await db.rows<{ name: RepositoryName }>(page, [after, limit])
  return rows.map(row => row.name)
}
