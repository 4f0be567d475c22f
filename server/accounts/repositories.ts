import type { Account, Actor, Rights, Role } from '../access/actor.ts'
import { hasRole, mayCreate, reachesAll } from '../access/may.ts'
import {
  changeRepository,
  type FoundRow,
  findRepositories,
  type ListBounds,
  namespacePage,
  type RepositoryChange,
  type RepositoryRow,
  type RepositoryView,
  starredPage,
  type Viewer,
  viewRepository,
  visiblePage,
} from '../metadata/repository-lists.ts'
import {
  createRepository,
  deleteRepository,
  findRepository,
  findRepositoryRights,
  type RepositoryId,
  type RepositoryPlace,
} from '../metadata/repositories.ts'
import { findRights, type RightsRow } from '../metadata/rights.ts'
import { isRepositoryName, namespaceOf, type RepositoryName } from '../oci/repository-name.ts'
import { AccountError, invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'

/**
 * A repository that someone has come to. In the REST API every repository has a namespace: `nginx` is `library/nginx` there,
 * unless there is another one of that name.
 */
export interface AccessedRepository extends RepositoryPlace {
  /** What they may do there. */
  role: Role | undefined
}

export interface NewRepositoryWish {
  namespace: string
  name: string
  visibility: 'public' | 'private'
  description: string
}

export interface ListRequest {
  kind: ListKind
  /** What `next` of the page before says; empty for the first. */
  after: string
  lastModified: boolean
}

/** Whose repositories: those of a namespace, those that the account has starred, or all that one sees. */
export type ListKind =
  | { of: 'namespace'; namespace: string; includePublic: boolean }
  | { of: 'starred' }
  | { of: 'everyone' }

export interface ListPage<Row> {
  rows: Row[]
  /** Where the next page goes on; undefined when there is none. */
  next: string | undefined
}

/** Repositories as the REST API has them. */
export interface AccountRepositories {
  /** What someone may do under a name of the REST API, as the rows say it, and the repository that it is, if there is one. */
  rights(name: string, actor: Actor): Promise<Rights & { found: RepositoryPlace | undefined }>
  /** @throws AccountError insufficient_scope; invalid_request for a name that is taken, or none */
  create(wish: NewRepositoryWish, creator: Account): Promise<void>
  /** A page of at most 100, by name. */
  list(request: ListRequest, actor: Actor): Promise<ListPage<RepositoryRow>>
  /** Those with a text in their names, the nearest first. @param bounds at most 100 in all */
  find(text: string, bounds: { offset: number; limit: number }, actor: Actor): Promise<FoundRow[]>
  /** @throws AccountError not_found */
  view(id: RepositoryId, actor: Actor): Promise<RepositoryView>
  /** @throws AccountError not_found */
  change(id: RepositoryId, change: RepositoryChange): Promise<void>
  /**
   * Deletes it for every client, of all processes that share the database: when this resolves, no pull finds anything of it,
   * and its name is free. @throws AccountError not_found
   */
  delete(repository: RepositoryPlace): Promise<void>
}

const pageSize = 100

export function createRepositories({ database, policy, changes }: AccountsOptions): AccountRepositories {
  const viewerOf = (actor: Actor): Viewer =>
    actor.kind === 'account'
      ? { account: actor.id, all: reachesAll(actor, policy) }
      : { account: undefined, all: false }

  function rowsOf(kind: ListKind, bounds: ListBounds, viewer: Viewer): Promise<RepositoryRow[]> {
    switch (kind.of) {
      case 'namespace':
        return namespacePage(database, bounds, viewer, kind)
      case 'starred':
        return starredPage(database, bounds, viewer)
      case 'everyone':
        return visiblePage(database, bounds, viewer)
      default:
        return kind satisfies never
    }
  }

  return {
    async rights(name, actor) {
      // What no repository can be called is not there; here it has a namespace.
      if (!isRepositoryName(name) || !name.includes('/')) return { ...nothing, found: undefined }
      const account = actor.kind === 'account' ? actor.id : undefined
      const row = await findRepositoryRights(database, restNames(name), account)
      const found = row.id === null || row.name === null ? undefined : { id: row.id, name: row.name }
      return { ...rightsOf(row), found }
    },

    async create({ namespace, name, visibility, description }, creator) {
      const full = `${namespace}/${name}`
      if (!isRepositoryName(full) || namespace.includes('/')) throw invalid('Invalid repository name')
      const rights = rightsOf(await findRights(database, full, creator.id))
      // To make one here is another thing than to push: the settings about pushes do not count.
      const here = { ...policy, createRepositoryOnPush: true, createNamespaceOnPush: false }
      if (!mayCreate(creator, { rights, policy: here })) throw new AccountError('insufficient_scope', 'Unauthorized')
      const [, short] = restNames(full)
      if (short !== undefined && (await findRepository(database, short)) !== undefined) throw taken()
      const made = await createRepository(database, { name: full, visibility, description, creator: creator.id })
      if (made === undefined) throw taken()
    },

    async list({ kind, after, lastModified }, actor) {
      const rows = await rowsOf(kind, { after, limit: pageSize + 1, lastModified }, viewerOf(actor))
      const page = rows.slice(0, pageSize)
      return { rows: page, next: rows.length > pageSize ? page.at(-1)?.name : undefined }
    },

    // Names are in lower case.
    find: (text, bounds, actor) => findRepositories(database, text.toLowerCase(), bounds, viewerOf(actor)),

    async view(id, actor) {
      const view = await viewRepository(database, id, actor.kind === 'account' ? actor.id : undefined)
      if (view === undefined) throw notFound()
      return view
    },

    async change(id, change) {
      if (!(await changeRepository(database, id, change))) throw notFound()
    },

    async delete(repository) {
      const gone = (name: string) => name === repository.name
      if (!(await changes.removing(gone, () => deleteRepository(database, repository)))) throw notFound()
    },
  }
}

/** A repository's name in two parts, as the REST API has them. */
export function splitRepositoryName(repository: RepositoryName): { namespace: string; name: string } {
  return { namespace: namespaceOf(repository), name: repository.slice(repository.indexOf('/') + 1) }
}

/** The names under which a repository may be found, in this order. */
export function restNames(name: RepositoryName): [RepositoryName, ...RepositoryName[]] {
  const [namespace, short = '', ...more] = name.split('/')
  return namespace === 'library' && more.length === 0 && isRepositoryName(short) ? [name, short] : [name]
}

function taken(): AccountError {
  return invalid('Repository already exists')
}

function rightsOf(row: RightsRow): Rights {
  return {
    visibility: row.visibility ?? undefined,
    state: row.state ?? undefined,
    role: row.role ?? undefined,
    namespace: row.namespace_kind ?? undefined,
    creates: row.creates,
  }
}

const nothing: Rights = {
  visibility: undefined,
  state: undefined,
  role: undefined,
  namespace: undefined,
  creates: false,
}

/** Whether someone who has come to a repository may write to it, or administer it. */
export function hasRoleIn({ role }: AccessedRepository, wanted: Role): boolean {
  return hasRole(role, wanted)
}
