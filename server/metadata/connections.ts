import { type Queryable, statement } from './database.ts'

const limit = statement(
  'connections.limit',
  `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
          - coalesce(current_setting('reserved_connections', true)::int, 0) as connections`,
)

/** How many connections Postgres takes in all from those who are no superusers. */
export async function connectionLimit(db: Queryable): Promise<number> {
  return (await db.row<{ connections: number }>(limit))?.connections ?? 0
}
