import { type Queryable, statement } from './database.ts'
import { containing, startingWith } from './patterns.ts'
import type { Viewer } from './repository-lists.ts'
import { ofAccount } from './repositories.ts'

/** Searches by names. Each reads a part of an index, and a bounded one where most of what is in it may not be seen. */

/** Names that are looked through for those that someone may see. */
const mostLookedThrough = 1000

export interface FoundAccount {
  name: string
  kind: 'user' | 'robot'
  is_org_member: boolean
}

const accounts = statement(
  'search.accounts',
  `(select a.name, a.kind,
           exists (select from team_members m join teams t on t.id = m.team_id
                    where m.account_id = a.id and t.namespace_id = $2) as is_org_member
      from accounts a
     where a.kind = 'user' and a.name like $1 order by a.name limit $5)
   union all
   (select a.name, a.kind, true from accounts a
     where a.kind = 'robot' and a.namespace_id = $3 and a.name like $4 order by a.name limit $5)`,
)

export interface EntityScope {
  /** The organization whose members are told as such. */
  organization: number | undefined
  /** Whose robots are found as well. */
  robotsOf: { id: number; name: string } | undefined
  limit: number
}

/** Users whose names begin so, and robots of a namespace whose short names do; so many of each. */
export function findAccounts(
  db: Queryable,
  prefix: string,
  { organization, robotsOf, limit }: EntityScope,
): Promise<FoundAccount[]> {
  const robots = robotsOf === undefined ? null : startingWith(`${robotsOf.name}+${prefix}`)
  return db.rows<FoundAccount>(accounts, [startingWith(prefix), organization, robotsOf?.id, robots, limit])
}

const teamsOf = statement(
  'search.teams_of_organization',
  `select t.name from teams t where t.namespace_id = $1 and t.name like $2 order by t.name limit $3`,
)

/** Teams of an organization whose names begin so. */
export async function findTeamsOf(
  db: Queryable,
  organization: number,
  prefix: string,
  limit: number,
): Promise<string[]> {
  const rows = await db.rows<{ name: string }>(teamsOf, [organization, startingWith(prefix), limit])
  return rows.map(row => row.name)
}

/** The namespaces that an account administers. */
const administered = `
  select a.namespace_id from accounts a where a.id = $1 and a.kind = 'user'
  union
  select t.namespace_id from team_members m join teams t on t.id = m.team_id where m.account_id = $1 and t.role = 'admin'`

const teams = statement(
  'search.teams',
  `select t.name, n.name as organization
     from teams t join namespaces n on n.id = t.namespace_id
    where t.name like $2 and (
      t.id in (select team_id from team_members where account_id = $1) or t.namespace_id in (${administered}))
    order by t.name, n.name limit $3`,
)

export interface FoundTeam {
  name: string
  organization: string
}

/** Teams that an account is in, or administers, with a text in their names. */
export function findTeams(db: Queryable, account: number, text: string, limit: number): Promise<FoundTeam[]> {
  return db.rows<FoundTeam>(teams, [account, containing(text), limit])
}

const robots = statement(
  'search.robots',
  `select a.name, n.kind as namespace_kind from accounts a join namespaces n on n.id = a.namespace_id
    where a.kind = 'robot' and a.name like $2 and a.namespace_id in (${administered})
    order by a.name limit $3`,
)

export interface FoundRobot {
  name: string
  namespace_kind: 'user' | 'organization'
}

/** Robots of namespaces that an account administers, with a text in their names. */
export function findRobots(db: Queryable, account: number, text: string, limit: number): Promise<FoundRobot[]> {
  return db.rows<FoundRobot>(robots, [account, containing(text), limit])
}

const namespaces = statement(
  'search.namespaces',
  `with candidates as (
     select id, name, kind from namespaces where name like $3 and kind <> 'open' order by name limit ${mostLookedThrough}
   ), mine as materialized (
     select r.namespace_id from repositories r where r.id in (${ofAccount('$1::bigint')})
     union
     select t.namespace_id from team_members m join teams t on t.id = m.team_id where m.account_id = $1
     union
     select a.namespace_id from accounts a where a.id = $1
   )
   select c.name, c.kind
     from candidates c
    where $2 or c.id in (select namespace_id from mine)
       or exists (select from repositories r where r.namespace_id = c.id and r.visibility = 'public' and r.deleted_at is null)
    order by c.name limit $4`,
)

export interface FoundNamespace {
  name: string
  kind: 'user' | 'organization'
}

/** Users and organizations whose names begin so, of those in which someone sees something. */
export function findNamespaces(
  db: Queryable,
  { account, all }: Viewer,
  prefix: string,
  limit: number,
): Promise<FoundNamespace[]> {
  return db.rows<FoundNamespace>(namespaces, [account, all, startingWith(prefix), limit])
}
