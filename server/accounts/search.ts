import type { Account, Actor } from '../access/actor.ts'
import { reachesAll } from '../access/may.ts'
import type { FoundRow } from '../metadata/repository-lists.ts'
import {
  findAccounts,
  findNamespaces,
  findRobots,
  findTeams,
  findTeamsOf,
  type FoundAccount,
  type FoundNamespace,
  type FoundRobot,
  type FoundTeam,
} from '../metadata/search.ts'
import type { AccountsOptions } from './options.ts'
import type { Organizations } from './organizations.ts'
import type { AccountRepositories } from './repositories.ts'

export interface EntityWish {
  prefix: string
  /** An organization, or the user's own namespace; empty for none. */
  namespace: string
  teams: boolean
  organizations: boolean
}

export interface Entities {
  accounts: FoundAccount[]
  teams: string[]
  /** Whether the namespace itself is one of the results. */
  organization: boolean
  /** Whether the namespace is an organization. */
  ofOrganization: boolean
}

export interface Everything {
  teams: FoundTeam[]
  robots: FoundRobot[]
  repositories: FoundRow[]
  namespaces: FoundNamespace[]
}

/** Finds what someone may see by its name. */
export interface Search {
  /** Whom something could be given to, for a field that completes names: 10 of each kind at most. */
  entities(wish: EntityWish, user: Account): Promise<Entities>
  /** Whatever has this in its name: 5 of each kind at most. */
  everything(text: string, actor: Actor): Promise<Everything>
}

const mostEntities = 10
const mostOfKind = 5

interface SearchOptions extends AccountsOptions {
  repositories: AccountRepositories
  organizations: Organizations
}

export function createSearch({ database, policy, repositories, organizations }: SearchOptions): Search {
  return {
    async entities({ prefix: typed, namespace, teams, organizations: wanted }, user) {
      const prefix = namePartOf(typed)
      const rights = await organizations.rights(namespace, user)
      const isMember = rights !== undefined && (rights.isMember || reachesAll(user, policy))
      const isOwn = rights === undefined && namespace === user.name
      const robotsOf = isMember ? rights.id : isOwn ? user.namespaceId : undefined
      const [accounts, teamNames] = await Promise.all([
        findAccounts(database, prefix, {
          organization: rights?.id,
          robotsOf: robotsOf === undefined ? undefined : { id: robotsOf, name: namespace },
          limit: mostEntities,
        }),
        isMember && teams ? findTeamsOf(database, rights.id, prefix, mostEntities) : [],
      ])
      return {
        accounts: isMember ? accounts : accounts.map(account => ({ ...account, is_org_member: false })),
        teams: teamNames,
        organization: isMember && wanted && namespace.startsWith(prefix),
        ofOrganization: isMember,
      }
    },

    async everything(text, actor) {
      const part = namePartOf(text)
      if (part === '') return { teams: [], robots: [], repositories: [], namespaces: [] }
      const account = actor.kind === 'account' ? actor : undefined
      const viewer = { account: account?.id, all: account !== undefined && reachesAll(account, policy) }
      const [teams, robots, found, namespaces] = await Promise.all([
        account === undefined ? [] : findTeams(database, account.id, part, mostOfKind),
        account === undefined ? [] : findRobots(database, account.id, part, mostOfKind),
        repositories.find(part, { offset: 0, limit: mostOfKind }, actor),
        // A superuser looks for users, whatever they have.
        findNamespaces(database, { ...viewer, all: viewer.all || account?.power === 'superuser' }, part, mostOfKind),
      ])
      return { teams, robots, repositories: found, namespaces }
    },
  }
}

/** Names are in lower case and have no spaces. */
function namePartOf(text: string): string {
  return text.replaceAll(/[\s\0]/g, '').toLowerCase()
}
