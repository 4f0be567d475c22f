import { type Queryable, statement } from './database.ts'

/** An application-specific token, whoever's it is. */
export interface AnyAppTokenRow {
  id: string
  title: string
  username: string
  created_at: Date
  last_accessed_at: Date | null
  expires_at: Date | null
}

const page = statement(
  'any_app_tokens.page',
  `select t.id, t.title, a.name as username, t.created_at, t.last_accessed_at, t.expires_at
     from app_tokens t join accounts a on a.id = t.account_id
    where t.id > $1::uuid and (t.expires_at is null or t.expires_at > now()) order by t.id limit $2`,
)

/** Tokens of all users that are good, after the id `after`. */
export function anyAppTokenPage(
  db: Queryable,
  { after, limit }: { after: string; limit: number },
): Promise<AnyAppTokenRow[]> {
  return db.rows<AnyAppTokenRow>(page, [after, limit])
}
