import type { Account } from '../access/actor.ts'
import { randomSecret } from '../access/secrets.ts'
import {
  changeRobotToken,
  findRobot,
  insertRobot,
  listRobotPermissions,
  listRobots,
  listRobotsWithPermissions,
  removeRobot,
  type RobotRow,
} from '../metadata/robots.ts'
import type { RepositoryRoleRow } from '../metadata/teams.ts'
import { AccountError, invalid } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { isRobotShortName, parseRobotShortName } from './names.ts'
import { checkMayChange, type Organizations } from './organizations.ts'

export interface Robot {
  /** `namespace+short` */
  name: string
  created: Date
  lastAccessed: Date | null
  description: string
  metadata: Record<string, unknown>
  /** Undefined for those who may not see it, or did not ask for it. */
  token: string | undefined
  /** Teams, and repositories by whole names; undefined like the token. */
  uses: { teams: string[]; repositories: string[] } | undefined
}

/** Whose robots: the user's own who asks, or those of an organization. */
export type RobotOwner = { kind: 'user' } | { kind: 'organization'; name: string }

export interface RobotWish {
  description: string
  metadata: Record<string, unknown>
}

export interface ListedRobots {
  tokens: boolean
  permissions: boolean
  /** All of them when undefined. */
  limit: number | undefined
}

/**
 * Robots: accounts for machines, which push and pull and know nothing of the REST API. All but `list` is for the user
 * whose they are and for the organization's admins; of what is read, all but the tokens for a read-only superuser too.
 */
export interface Robots {
  /** An organization's members see the names, its admins all. @throws AccountError insufficient_scope */
  list(owner: RobotOwner, by: Account, options: ListedRobots): Promise<Robot[]>
  /** @throws AccountError invalid_request when there is no such robot */
  get(owner: RobotOwner, short: string, by: Account): Promise<Robot>
  /** What the robot may do in which repositories. @throws AccountError invalid_request when there is no such robot */
  permissions(owner: RobotOwner, short: string, by: Account): Promise<RepositoryRoleRow[]>
  /** @throws AccountError invalid_request for a name that no robot can have, or that one has; too much metadata */
  create(owner: RobotOwner, short: string, by: Account, wish: RobotWish): Promise<Robot>
  /** Gives it another token: the one it had is of no use from now on. @throws AccountError invalid_request */
  regenerate(owner: RobotOwner, short: string, by: Account): Promise<Robot>
  /** @throws AccountError invalid_request when there is no such robot */
  delete(owner: RobotOwner, short: string, by: Account): Promise<void>
}

/** As in Quay. */
const tokenLength = 64
/** Of the metadata, as JSON. */
const mostMetadataBytes = 8 * 1024

export interface RobotsOptions extends AccountsOptions {
  organizations: Organizations
}

/** The namespace of robots, as the one who asks may deal with it. */
interface Place {
  id: number
  name: string
  seesAll: boolean
  isAdmin: boolean
}

export function createRobots({ database, secrets, policy, organizations }: RobotsOptions): Robots {
  async function placeOf(owner: RobotOwner, by: Account): Promise<Place> {
    if (owner.kind === 'user') return { id: by.namespaceId, name: by.name, seesAll: true, isAdmin: true }
    const rights = await organizations.rights(owner.name, by)
    if (rights === undefined) throw refused()
    return { id: rights.id, name: owner.name, seesAll: rights.seesAll, isAdmin: rights.isAdmin }
  }

  /** Where the robots may be changed by the one who asks. */
  async function changeable(owner: RobotOwner, by: Account): Promise<Place> {
    checkMayChange(by)
    const place = await placeOf(owner, by)
    if (!place.isAdmin) throw refused()
    // Whoever may create nothing of their own makes no robots of their own either.
    if (owner.kind === 'user' && by.power !== 'superuser' && policy.isRestricted(by.name)) throw refused()
    return place
  }

  async function find(place: Place, short: string): Promise<RobotRow> {
    const robot = isRobotShortName(short) ? await findRobot(database, place.id, `${place.name}+${short}`) : undefined
    if (robot === undefined) throw unknown(place, short)
    return robot
  }

  const robotOf = (row: RobotRow, { token }: { token: boolean }, uses?: Robot['uses']): Robot => ({
    name: row.name,
    created: row.created_at,
    lastAccessed: row.last_accessed_at,
    description: row.description,
    metadata: row.metadata,
    token: token ? secrets.decrypt(row.token) : undefined,
    uses,
  })

  return {
    async list(owner, by, { tokens, permissions, limit }) {
      const place = await placeOf(owner, by)
      const token = tokens && place.isAdmin
      if (!permissions || !place.seesAll)
        return (await listRobots(database, place.id, limit)).map(row => robotOf(row, { token }))
      const rows = await listRobotsWithPermissions(database, place.id, limit)
      return rows.map(({ teams, repositories, ...row }) => robotOf(row, { token }, { teams, repositories }))
    },

    async get(owner, short, by) {
      const place = await placeOf(owner, by)
      if (!place.seesAll) throw refused()
      return robotOf(await find(place, short), { token: place.isAdmin })
    },

    async permissions(owner, short, by) {
      const place = await placeOf(owner, by)
      if (!place.seesAll) throw refused()
      return listRobotPermissions(database, (await find(place, short)).id)
    },

    async create(owner, short, by, { description, metadata }) {
      const place = await changeable(owner, by)
      parseRobotShortName(short)
      if (Buffer.byteLength(JSON.stringify(metadata)) > mostMetadataBytes)
        throw invalid(`unstructured_metadata has to have ${mostMetadataBytes} bytes at most`)
      const token = secrets.encrypt(randomSecret(tokenLength))
      const { id: namespaceId, name: namespace } = place
      const made = await insertRobot(database, { namespaceId, namespace, short, description, token, metadata })
      if (made === undefined) throw invalid(`Existing robot with name: ${namespace}+${short}`)
      return robotOf(made, { token: true })
    },

    async regenerate(owner, short, by) {
      const place = await changeable(owner, by)
      const token = secrets.encrypt(randomSecret(tokenLength))
      const changed = isRobotShortName(short)
        ? await changeRobotToken(database, place.id, `${place.name}+${short}`, token)
        : undefined
      if (changed === undefined) throw unknown(place, short)
      return robotOf(changed, { token: true })
    },

    async delete(owner, short, by) {
      const place = await changeable(owner, by)
      const isOne = isRobotShortName(short)
      if (!isOne || !(await removeRobot(database, place.id, `${place.name}+${short}`))) throw unknown(place, short)
    },
  }
}

function unknown({ name }: Place, short: string): AccountError {
  return invalid(`Could not find robot with username: ${name}+${short.slice(0, 300)}`)
}

function refused(): AccountError {
  return new AccountError('insufficient_scope', 'Unauthorized')
}
