import { namespaceOf, type RepositoryName } from '../oci/repository-name.ts'
import { type Queryable, statement } from './database.ts'

/** What the rows say of an account, or of someone without one, in a repository that may be there or not. */
export interface RightsRow {
  visibility: 'public' | 'private' | null
  state: 'normal' | 'read_only' | 'mirror' | null
  role: 'read' | 'write' | 'admin' | null
  namespace_kind: 'open' | 'user' | 'organization' | null
  /** Whether the account may create repositories in the namespace. */
  creates: boolean
}

/** The highest of what an account `a` has in a repository `r`: as its owner, by itself, by a team, as the organization's admin. */
const roleOfAccount = `
  greatest(
    case when a.kind = 'user' and a.namespace_id = r.namespace_id then 'admin'::repository_role end,
    (select max(p.role) from repository_permissions p where p.account_id = a.id and p.repository_id = r.id),
    (select max(p.role)
       from team_members m join repository_permissions p on p.team_id = m.team_id and p.repository_id = r.id
      where m.account_id = a.id),
    (select 'admin'::repository_role
       from team_members m join teams t on t.id = m.team_id
      where m.account_id = a.id and t.namespace_id = r.namespace_id and t.role = 'admin' limit 1))`

/** Whether an account `a` may create repositories in a namespace `n`. */
const createsIn = `
  coalesce(
    (a.kind = 'user' and a.namespace_id = n.id)
    or exists (select from team_members m join teams t on t.id = m.team_id
                where m.account_id = a.id and t.namespace_id = n.id and t.role in ('creator', 'admin')), false)`

/** The columns of `RightsRow`, from `r`, `n` and `a` of a statement, each of which may be missing. */
export const rightsColumns = `
  r.visibility, r.state, case when r.id is not null then ${roleOfAccount} end as role,
  n.kind as namespace_kind, ${createsIn} as creates`

const find = statement(
  'rights.find',
  `select ${rightsColumns}
     from (values ($1::text, $2::text, $3::bigint)) as asked (repository, namespace, account)
     left join repositories r on r.name = asked.repository and r.deleted_at is null
     left join namespaces n on n.name = asked.namespace
     left join accounts a on a.id = asked.account and a.enabled`,
)

/** What someone may in a repository, by one statement. @param account undefined for who has none */
export async function findRights(
  db: Queryable,
  repository: RepositoryName,
  account: number | undefined,
): Promise<RightsRow> {
  const row = await db.row<RightsRow>(find, [repository, namespaceOf(repository), account])
  if (row === undefined) throw new Error('one row was asked for, and none came')
  return row
}
