import { type Queryable, statement } from './database.ts'
import { longestList, type RepositoryRoleRow } from './teams.ts'

export interface RobotRow {
  id: number
  /** `namespace+short`. */
  name: string
  created_at: Date
  last_accessed_at: Date | null
  description: string
  /** Encrypted. */
  token: Buffer
  metadata: Record<string, unknown>
}

/** With the teams and the repositories that it can use. */
export interface RobotWithPermissionsRow extends RobotRow {
  teams: string[]
  /** By whole names. */
  repositories: string[]
}

const columns = 'a.id, a.name, a.created_at, a.last_accessed_at, b.description, b.token, b.metadata'
const tables = `accounts a join robots b on b.account_id = a.id`
const isRobotOf = `a.kind = 'robot' and a.namespace_id = $1`

const list = statement(
  'robots.list',
  `select ${columns} from ${tables} where ${isRobotOf} order by a.name limit least($2, ${longestList})`,
)

/** The robots of a namespace, by name. @param limit all of them when undefined */
export function listRobots(db: Queryable, namespace: number, limit: number | undefined): Promise<RobotRow[]> {
  return db.rows<RobotRow>(list, [namespace, limit ?? longestList])
}

const listWithPermissions = statement(
  'robots.list_with_permissions',
  `select ${columns},
          array (select t.name from team_members m join teams t on t.id = m.team_id
                  where m.account_id = a.id order by t.id) as teams,
          array (select r.name from repository_permissions p join repositories r on r.id = p.repository_id
                  where p.account_id = a.id and r.deleted_at is null order by r.name) as repositories
     from ${tables} where ${isRobotOf} order by a.name limit least($2, ${longestList})`,
)

/** As `listRobots`, with what they can use. */
export function listRobotsWithPermissions(
  db: Queryable,
  namespace: number,
  limit: number | undefined,
): Promise<RobotWithPermissionsRow[]> {
  return db.rows<RobotWithPermissionsRow>(listWithPermissions, [namespace, limit ?? longestList])
}

const find = statement('robots.find', `select ${columns} from ${tables} where ${isRobotOf} and a.name = $2`)

export function findRobot(db: Queryable, namespace: number, name: string): Promise<RobotRow | undefined> {
  return db.row<RobotRow>(find, [namespace, name])
}

export interface NewRobot {
  namespaceId: number
  /** Of the namespace, which a robot's name begins with. */
  namespace: string
  short: string
  description: string
  /** Encrypted. */
  token: Buffer
  metadata: Record<string, unknown>
}

// A namespace that is being deleted meanwhile gets no robot any more: hence its lock.
const insert = statement(
  'robots.insert',
  `with namespace as (
     select id, name from namespaces where id = $1 and name = $2 for key share
   ), a as (
     insert into accounts (kind, name, namespace_id) select 'robot', name || '+' || $3, id from namespace
     on conflict (name) do nothing
     returning *
   ), b as (
     insert into robots (account_id, description, token, metadata) select id, $4, $5, $6 from a
     returning *
   )
   select ${columns} from a join b on b.account_id = a.id`,
)

/** @returns undefined when there is such a robot already */
export function insertRobot(db: Queryable, robot: NewRobot): Promise<RobotRow | undefined> {
  const { namespaceId, namespace, short, description, token, metadata } = robot
  return db.row<RobotRow>(insert, [namespaceId, namespace, short, description, token, JSON.stringify(metadata)])
}

const changeToken = statement(
  'robots.change_token',
  `update robots b set token = $3 from accounts a where a.id = b.account_id and ${isRobotOf} and a.name = $2
   returning ${columns}`,
)

/** Gives a robot another token. @returns undefined when there is no such robot */
export function changeRobotToken(
  db: Queryable,
  namespace: number,
  name: string,
  token: Buffer,
): Promise<RobotRow | undefined> {
  return db.row<RobotRow>(changeToken, [namespace, name, token])
}

const remove = statement('robots.remove', `delete from accounts a where ${isRobotOf} and a.name = $2`)

/** Its permissions, memberships and tokens go with it. @returns false when there is no such robot */
export async function removeRobot(db: Queryable, namespace: number, name: string): Promise<boolean> {
  return (await db.change(remove, [namespace, name])) > 0
}

const permissions = statement(
  'robots.permissions',
  `select r.name as repository, r.visibility, p.role
     from repository_permissions p join repositories r on r.id = p.repository_id and r.deleted_at is null
    where p.account_id = $1 order by r.name limit ${longestList}`,
)

export function listRobotPermissions(db: Queryable, robot: number): Promise<RepositoryRoleRow[]> {
  return db.rows<RepositoryRoleRow>(permissions, [robot])
}
