import type { RepositoryName } from '../oci/repository-name.ts'

/** What is done in a repository. */
export type Action = 'pull' | 'push' | 'delete'

/** What one may do in a repository, each with what stands before it. */
export type Role = 'read' | 'write' | 'admin'

/** Whoever asks for something. Where it comes from decides what `may` looks at. */
export type Actor = Everyone | Anonymous | Named | Granted | Account

/** Whoever it is: the registry asks no one (`auth` is left out, or `none`). */
export interface Everyone {
  readonly kind: 'everyone'
}

/** Who says nothing of themselves where others do. */
export interface Anonymous {
  readonly kind: 'anonymous'
}

/** A user of an htpasswd file, or the holder of a client certificate. */
export interface Named {
  readonly kind: 'named'
  readonly name: string
  /** The organizational units of a certificate; those of an access file are added to them by the rules. */
  readonly groups: readonly string[]
}

/** The bearer of a token that says itself what it is good for. */
export interface Granted {
  readonly kind: 'granted'
  /** Whom it was given to; empty for anyone. */
  readonly name: string
  readonly grants: Grants
  /** The account, where Berth gave out the token and there is one. */
  readonly accountId: number | undefined
  /** When it ended, in ms since 1970. Only an upload that its bearer began goes on with one that has ended. */
  readonly endsAt: number
}

/** Repository actions as a token lists them; `*` stands for all, and `catalog` for the list of repositories. */
export interface Grants {
  readonly repositories: ReadonlyMap<RepositoryName, ReadonlySet<Action | '*'>>
  readonly catalog: boolean
}

/** A user or a robot of the database, who has shown a password, a token or the cookie of a session. */
export interface Account {
  readonly kind: 'account'
  readonly id: number
  readonly name: string
  readonly robot: boolean
  /** The user's own namespace, or the one that the robot belongs to. */
  readonly namespaceId: number
  readonly power: Power
  /** What an OAuth token is restricted to; everything for who came by other means. */
  readonly scopes: Scopes
  /** What was looked up together with the account. */
  readonly known: { readonly repository: RepositoryName; readonly rights: Rights } | undefined
}

/** What an account, or someone without one, may in a repository that may be there or not, as the rows say it. */
export interface Rights {
  /** Undefined where there is none. */
  readonly visibility: 'public' | 'private' | undefined
  readonly state: 'normal' | 'read_only' | 'mirror' | undefined
  readonly role: Role | undefined
  /** Whose the namespace is; undefined where there is none. */
  readonly namespace: 'open' | 'user' | 'organization' | undefined
  /** Whether they may create repositories in the namespace. */
  readonly creates: boolean
}

/** Which repositories someone sees: all, those that `may` names, or those of an account and the public ones. */
export type Visible =
  | { readonly kind: 'all' }
  | { readonly kind: 'some'; may(this: void, repository: RepositoryName): boolean }
  | { readonly kind: 'account'; readonly id: number | undefined; readonly public: boolean }

/**
 * What an account may beyond its own: a superuser administers (and reaches all content where
 * `auth.accounts.superusersfullaccess` says so), a reader may read everything and change nothing.
 */
export type Power = 'none' | 'superuser' | 'reader'

export const scopes = [
  'repo:read',
  'repo:write',
  'repo:admin',
  'repo:create',
  'user:read',
  'user:admin',
  'org:admin',
  'super:user',
] as const
export type Scope = (typeof scopes)[number]
/** With what each implies already in it. */
export type Scopes = 'all' | ReadonlySet<Scope>

/** By what an upload is bound to the one who began it: no one else goes on with it. */
export function ownerKey(actor: Actor): string {
  switch (actor.kind) {
    case 'everyone':
    case 'anonymous':
      return ''
    case 'named':
    case 'granted':
    case 'account':
      return actor.name
    default:
      return actor satisfies never
  }
}
