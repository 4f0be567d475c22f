import { Type } from 'typebox'
import { AccountError, invalid } from '../../accounts/errors.ts'
import { type AccessedRepository, hasRoleIn, type ListKind, splitRepositoryName } from '../../accounts/repositories.ts'
import type { TagLifetime } from '../../registry/tags.ts'
import { accountOf, repositoryOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { flag, isSet, text } from './organization-views.ts'
import { byName, nextAfter, nextPage, pageOf } from './pages.ts'
import { repositoryParams, sizeOf, stateOf, timesOf } from './repository-views.ts'
import { epochSeconds, success } from './views.ts'

const visibility = Type.Union([Type.Literal('public'), Type.Literal('private')])
const kind = Type.Literal('image')
/** A text in Markdown. */
const description = text(64 * 1024)

const listed = Type.Object({
  namespace: Type.String(),
  name: Type.String(),
  description: Type.String(),
  is_public: Type.Boolean(),
  kind,
  state: Type.String(),
  last_modified: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  is_starred: Type.Optional(Type.Boolean()),
})

const tagView = Type.Object({
  name: Type.String(),
  size: Type.Union([Type.Integer(), Type.Null()]),
  last_modified: Type.String(),
  expiration: Type.Optional(Type.String()),
  manifest_digest: Type.String(),
})

const view = Type.Object({
  namespace: Type.String(),
  name: Type.String(),
  kind,
  description: Type.String(),
  is_public: Type.Boolean(),
  is_organization: Type.Boolean(),
  is_starred: Type.Boolean(),
  status_token: Type.String(),
  trust_enabled: Type.Literal(false),
  tag_expiration_s: Type.Integer(),
  is_free_account: Type.Literal(true),
  state: Type.String(),
  tags: Type.Optional(Type.Record(Type.String(), tagView)),
  can_write: Type.Boolean(),
  can_admin: Type.Boolean(),
})

/** Tags that the view of a repository has at most: the newest ones. */
const mostTags = 500

/** Repositories: to make, list, look at, change and delete them. */
export function repositoryRoutes(app: ApiInstance, { accounts, registry }: RouteOptions): void {
  const { repositories } = accounts
  const url = '/api/v1/repository/:repository'
  const tags = ['repository']

  app.post(
    '/api/v1/repository',
    {
      config: { api: { for: 'user', scope: 'repo:create' } },
      schema: {
        summary: 'Make a repository',
        tags,
        body: Type.Object({
          repository: Type.String({ maxLength: 255 }),
          visibility,
          description,
          namespace: Type.Optional(Type.String({ maxLength: 255 })),
          repo_kind: Type.Optional(Type.Union([kind, Type.Null()])),
        }),
        response: { 201: Type.Object({ namespace: Type.String(), name: Type.String(), kind }) },
      },
    },
    async (request, reply) => {
      const account = accountOf(request)
      const { repository: name, namespace = account.name, visibility, description } = request.body
      await repositories.create({ namespace, name, visibility, description }, account)
      return reply.code(201).send({ namespace, name, kind: 'image' })
    },
  )

  app.get(
    '/api/v1/repository',
    {
      config: { api: { for: 'visitor', scope: 'repo:read' } },
      schema: {
        summary: 'The repositories of a namespace, those that one has starred, or what is public; 100 in a page',
        tags,
        querystring: Type.Object({
          namespace: Type.Optional(text(255)),
          starred: flag,
          public: flag,
          last_modified: flag,
          popularity: flag,
          repo_kind: Type.Optional(Type.String()),
          next_page: Type.Optional(Type.String()),
        }),
        response: { 200: Type.Object({ repositories: Type.Array(listed), next_page: nextPage }) },
      },
    },
    async request => {
      const { actor, query } = request
      const lastModified = isSet(query.last_modified, false)
      const { after } = pageOf(pageToken(query.next_page), byName)
      const kind = listKindOf(query, actor.kind === 'account')
      // There are no other kinds here.
      if ((query.repo_kind ?? 'image') !== 'image') return { repositories: [] }
      const { rows, next } = await repositories.list({ kind, after, lastModified }, actor)
      return {
        repositories: rows.map(row => ({
          ...splitRepositoryName(row.name),
          description: row.description,
          is_public: row.visibility === 'public',
          kind: 'image' as const,
          state: stateOf(row.state),
          ...(lastModified ? { last_modified: row.last_modified && epochSeconds(row.last_modified) } : {}),
          ...(actor.kind === 'account' ? { is_starred: row.is_starred } : {}),
        })),
        ...nextAfter(next),
      }
    },
  )

  app.get(
    url,
    {
      config: { api: { for: 'repository', role: 'read' } },
      schema: {
        summary: `A repository, with its newest ${mostTags} tags`,
        tags,
        params: repositoryParams,
        querystring: Type.Object({ includeTags: flag, includeStats: flag }),
        response: { 200: view },
      },
    },
    async request => {
      const repository = repositoryOf(request)
      const withTags = isSet(request.query.includeTags, true)
      const [found, newest] = await Promise.all([
        repositories.view(repository.id, request.actor),
        withTags ? registry.tags.history(repository.id, { live: true, page: 1, limit: mostTags }) : undefined,
      ])
      return {
        ...splitRepositoryName(found.name),
        kind: 'image' as const,
        description: found.description,
        is_public: found.visibility === 'public',
        is_organization: found.namespace_kind === 'organization',
        is_starred: found.is_starred,
        status_token: '',
        trust_enabled: false as const,
        tag_expiration_s: found.tag_expiration_s,
        is_free_account: true as const,
        state: stateOf(found.state),
        ...(newest === undefined ? {} : { tags: viewOfTags(newest.items) }),
        can_write: found.state === 'normal' && hasRoleIn(repository, 'write'),
        can_admin: hasRoleIn(repository, 'admin'),
      }
    },
  )

  app.put(
    url,
    {
      config: { api: { for: 'repository', role: 'write' } },
      schema: {
        summary: 'Change the description of a repository',
        tags,
        params: repositoryParams,
        body: Type.Object({ description }),
        response: { 200: success },
      },
    },
    async request => {
      await repositories.change(repositoryOf(request).id, { description: request.body.description })
      return { success: true }
    },
  )

  app.delete(
    url,
    {
      config: { api: { for: 'repository', role: 'admin', deletes: true } },
      schema: { summary: 'Delete a repository', tags, params: repositoryParams, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await repositories.delete(repositoryOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    `${url}/changevisibility`,
    {
      config: { api: { for: 'repository', role: 'admin' } },
      schema: {
        summary: 'Open a repository to everyone, or close it',
        tags,
        params: repositoryParams,
        body: Type.Object({ visibility }),
        response: { 200: success },
      },
    },
    async request => {
      await repositories.change(repositoryOf(request).id, { visibility: request.body.visibility })
      return { success: true }
    },
  )

  app.put(
    `${url}/changestate`,
    {
      config: { api: { for: 'repository', role: 'admin' } },
      schema: {
        summary: 'Make a repository read-only, or let it be changed again',
        tags,
        params: repositoryParams,
        body: Type.Object({ state: Type.String() }),
        response: { 200: success },
      },
    },
    async request => {
      await changeState(repositoryOf(request), request.body.state)
      return { success: true }
    },
  )

  async function changeState({ id }: AccessedRepository, state: string): Promise<void> {
    switch (state) {
      case 'NORMAL':
        return repositories.change(id, { state: 'normal' })
      case 'READ_ONLY':
        return repositories.change(id, { state: 'read_only' })
      case 'MIRROR':
        throw invalid('A repository can not be made a mirror here')
      default:
        throw invalid('The state of a repository is NORMAL or READ_ONLY')
    }
  }
}

interface ListQuery {
  namespace?: string
  starred?: string
  public?: string
}

/** @throws AccountError invalid_request when none of the three is asked for, and for the stars of no one */
function listKindOf(query: ListQuery, hasAccount: boolean): ListKind {
  const { namespace = '' } = query
  const isPublic = isSet(query.public, false)
  if (isSet(query.starred, false)) {
    if (!hasAccount) throw new AccountError('invalid_request', 'Only who is signed in has starred anything')
    return { of: 'starred' }
  }
  if (namespace !== '') return { of: 'namespace', namespace, includePublic: isPublic }
  if (isPublic) return { of: 'everyone' }
  throw invalid('namespace, starred or public are required for this API call')
}

/** An empty one is none. */
function pageToken(token: string | undefined): { next_page?: string } {
  return token === undefined || token === '' ? {} : { next_page: token }
}

function viewOfTags(tags: readonly TagLifetime[]) {
  return Object.fromEntries(
    tags.map(tag => {
      const { name, digest } = tag
      return [name, { name, size: sizeOf(tag), ...timesOf(tag), manifest_digest: digest }]
    }),
  )
}
