import { namespaceOf, type RepositoryName } from '../oci/repository-name.ts'
import type { Account, Action, Actor, Rights, Role, Scope } from './actor.ts'

/** What is asked about whom, where the actor alone does not tell. */
export interface MayOptions {
  /** The rules of an access file; without one, whoever has a name may do everything, and no one else anything. */
  rules?: (name: string | undefined, groups: readonly string[], action: Action, repository: RepositoryName) => boolean
  /** Rights by accounts. */
  accounts?: {
    find(this: void, account: number | undefined, repository: RepositoryName): Promise<Rights>
    policy: AccountPolicy
  }
}

/** Settings of `auth.accounts` that decide about rights. */
export interface AccountPolicy {
  /** Whether those without an account may pull what is public. */
  anonymous: boolean
  /** Whether superusers reach what is not theirs. */
  superusersFullAccess: boolean
  /** Whether a push makes an organization where there is no such namespace. */
  createNamespaceOnPush: boolean
  /** Whether a namespace that is not there can be called so; some names mean something else. */
  isFreeNamespace(this: void, name: string): boolean
  /** Whether a push makes a repository. */
  createRepositoryOnPush: boolean
  /** Users that may create nothing in their own namespace. */
  isRestricted(this: void, name: string): boolean
}

/** Whether someone may do something in a repository: the one place where that is decided. */
export type May = (actor: Actor, action: Action, repository: RepositoryName) => boolean | Promise<boolean>

export function createMay({ rules, accounts }: MayOptions): May {
  return (actor, action, repository) => {
    switch (actor.kind) {
      case 'everyone':
        return true
      case 'named':
        return rules === undefined || rules(actor.name, actor.groups, action, repository)
      case 'granted':
        return mayByGrant(actor.grants.repositories.get(repository), action)
      case 'anonymous':
        if (accounts === undefined) return rules?.(undefined, [], action, repository) ?? false
        if (!accounts.policy.anonymous || action !== 'pull') return false
        return accounts.find(undefined, repository).then(({ visibility }) => visibility === 'public')
      case 'account': {
        if (accounts === undefined) return false
        const decide = (rights: Rights) => mayByRights(actor, action, { rights, policy: accounts.policy, repository })
        if (actor.known?.repository === repository) return decide(actor.known.rights)
        return accounts.find(actor.id, repository).then(decide)
      }
      default:
        return actor satisfies never
    }
  }
}

/** A token is good for what it lists, and for nothing that would follow from it: what to list was decided when it was given. */
function mayByGrant(actions: ReadonlySet<string> | undefined, action: Action): boolean {
  return actions !== undefined && (actions.has('*') || actions.has(action))
}

const needed = { pull: 'read', push: 'write', delete: 'write' } as const satisfies Record<Action, Role>
const scopeFor = { read: 'repo:read', write: 'repo:write', admin: 'repo:admin' } as const satisfies Record<Role, Scope>

interface Grounds {
  rights: Rights
  policy: AccountPolicy
  /** What is asked about; it tells whether its namespace can come into being. */
  repository?: RepositoryName
}

function mayByRights(actor: Account, action: Action, grounds: Grounds): boolean {
  const { rights, policy } = grounds
  if (!hasScope(actor, scopeFor[needed[action]])) return false
  // Who may create it is told that it is not there; a client that pushes looks for its blobs first.
  if (rights.visibility === undefined)
    return mayCreate(actor, grounds) || (action === 'pull' && reachesAll(actor, policy))
  if (action !== 'pull' && rights.state !== 'normal') return false
  return hasRole(effectiveRole(actor, { rights, policy }), needed[action])
}

/** Whether the actor reads every repository. */
export function reachesAll({ power }: Account, policy: AccountPolicy): boolean {
  return power === 'reader' || (power === 'superuser' && policy.superusersFullAccess)
}

/** What the actor may do in a repository that is there, by all that counts: rows, visibility, power. */
export function effectiveRole(actor: Account, { rights, policy }: Grounds): Role | undefined {
  if (reachesAll(actor, policy)) return actor.power === 'reader' ? 'read' : 'admin'
  return rights.role ?? (rights.visibility === 'public' ? 'read' : undefined)
}

/** Whether a push by this actor makes the repository. */
export function mayCreate(actor: Account, { rights, policy, repository }: Grounds): boolean {
  if (actor.power === 'reader' || !policy.createRepositoryOnPush || !hasScope(actor, 'repo:create')) return false
  if (reachesAll(actor, policy) && rights.namespace !== undefined) return true
  if (rights.namespace === undefined) {
    const free = repository !== undefined && policy.isFreeNamespace(namespaceOf(repository))
    return free && policy.createNamespaceOnPush && !actor.robot && !policy.isRestricted(actor.name)
  }
  return rights.creates && !(rights.namespace === 'user' && policy.isRestricted(actor.name))
}

const order = ['read', 'write', 'admin'] as const

/** Whether a role is another one, or stands above it. */
export function hasRole(role: Role | undefined, wanted: Role): boolean {
  return role !== undefined && order.indexOf(role) >= order.indexOf(wanted)
}

/** Whether a token, if the actor came by one, is good for this. */
export function hasScope({ scopes }: Account, scope: Scope): boolean {
  return scopes === 'all' || scopes.has(scope)
}
