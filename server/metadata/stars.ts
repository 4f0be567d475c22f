import { type Queryable, statement } from './database.ts'
import type { RepositoryId } from './repositories.ts'

const add = statement(
  'stars.add',
  `insert into stars (account_id, repository_id) select $1::bigint, id from repositories where id = $2 and deleted_at is null
   on conflict do nothing`,
)

/** Stars a repository, once. */
export async function addStar(db: Queryable, account: number, repository: RepositoryId): Promise<void> {
  await db.change(add, [account, repository])
}

const remove = statement(
  'stars.remove',
  `delete from stars where account_id = $1 and repository_id = (
     select id from repositories where name = any($2::text[]) order by array_position($2::text[], name) limit 1)`,
)

/** @param names the names of the repository, the first of which counts that is one's */
export async function removeStar(db: Queryable, account: number, names: readonly string[]): Promise<void> {
  await db.change(remove, [account, names])
}
