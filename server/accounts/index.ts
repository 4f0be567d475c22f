import type { AccountPolicy } from '../access/may.ts'
import { type Applications, createApplications } from './applications.ts'
import { type AppTokens, createAppTokens } from './app-tokens.ts'
import { createDefaultPermissions, type DefaultPermissions } from './default-permissions.ts'
import { createMembers, type Members } from './members.ts'
import { createOAuth, type OAuth } from './oauth.ts'
import type { AccountSettings, AccountsOptions } from './options.ts'
import { createOrganizations, type Organizations } from './organizations.ts'
import { createPermissions, type Permissions } from './permissions.ts'
import { createOwnTokens, type OwnTokens } from './own-tokens.ts'
import { createRecovery, type Recovery } from './recovery.ts'
import { createRepositories, type AccountRepositories } from './repositories.ts'
import { createRobots, type Robots } from './robots.ts'
import { createSearch, type Search } from './search.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { createStars, type Stars } from './stars.ts'
import { createSuperuser, type Superuser } from './superuser.ts'
import { createTeamInvites, type TeamInvites } from './team-invites.ts'
import { createTeams, type Teams } from './teams.ts'
import { createUsers, type Users } from './users.ts'

/** Every operation on accounts: what the REST API and the commands call. */
export interface Accounts {
  policy: AccountPolicy
  settings: AccountSettings
  sessions: Sessions
  users: Users
  recovery: Recovery
  ownTokens: OwnTokens
  superuser: Superuser
  organizations: Organizations
  teams: Teams
  teamInvites: TeamInvites
  members: Members
  defaultPermissions: DefaultPermissions
  robots: Robots
  repositories: AccountRepositories
  permissions: Permissions
  stars: Stars
  search: Search
  applications: Applications
  appTokens: AppTokens
  oauth: OAuth
}

export function createAccounts(options: AccountsOptions): Accounts {
  const { database, guard, policy, settings } = options
  const organizations = createOrganizations(options)
  const repositories = createRepositories(options)
  return {
    policy,
    settings,
    sessions: createSessions({ database, guard, lifetimeMs: settings.sessionMs, freshMs: settings.freshLoginMs }),
    users: createUsers(options),
    recovery: createRecovery(options),
    ownTokens: createOwnTokens(options),
    superuser: createSuperuser(options),
    organizations,
    teams: createTeams({ ...options, organizations }),
    teamInvites: createTeamInvites(options),
    members: createMembers(options),
    defaultPermissions: createDefaultPermissions(options),
    robots: createRobots({ ...options, organizations }),
    applications: createApplications(options),
    appTokens: createAppTokens(options),
    oauth: createOAuth(options),
    repositories,
    permissions: createPermissions(options),
    stars: createStars({ ...options, repositories }),
    search: createSearch({ ...options, repositories, organizations }),
  }
}
