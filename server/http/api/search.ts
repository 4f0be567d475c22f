import { Type } from 'typebox'
import type { Everything } from '../../accounts/search.ts'
import { splitRepositoryName } from '../../accounts/repositories.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { flag, isSet, text } from './organization-views.ts'
import { avatar, avatarOf, epochSeconds } from './views.ts'

const entity = Type.Object({
  name: Type.String(),
  kind: Type.Union([Type.Literal('user'), Type.Literal('team'), Type.Literal('org')]),
  is_robot: Type.Optional(Type.Boolean()),
  is_org_member: Type.Optional(Type.Boolean()),
  avatar,
})

const owner = Type.Object({
  title: Type.String(),
  kind: Type.String(),
  avatar: Type.Union([avatar, Type.Null()]),
  name: Type.String(),
  score: Type.Number(),
  href: Type.String(),
  short_name: Type.Optional(Type.String()),
})

const repository = Type.Object({
  kind: Type.Literal('repository'),
  title: Type.Literal('repo'),
  namespace: owner,
  name: Type.String(),
  description: Type.String(),
  is_public: Type.Boolean(),
  score: Type.Number(),
  href: Type.String(),
  last_modified: Type.Optional(Type.Integer()),
  stars: Type.Optional(Type.Integer()),
})

const team = Type.Object({
  kind: Type.Literal('team'),
  name: Type.String(),
  organization: owner,
  avatar,
  score: Type.Number(),
  href: Type.String(),
})

/** How much a result of a kind counts, before how near its name is. */
const scores = { entity: 1, team: 2, repository: 4 }

const pageSize = 10
const mostPages = 10

/** Finding repositories, users, organizations, teams and robots by their names. */
export function searchRoutes(app: ApiInstance, { accounts: { search, repositories } }: RouteOptions): void {
  const tags = ['search']

  app.get(
    '/api/v1/entities/:prefix',
    {
      config: { api: { for: 'user', scope: 'user:read' } },
      schema: {
        summary: 'Users, robots and teams whose names begin so, for a field that completes names',
        tags,
        params: Type.Object({ prefix: Type.String() }),
        querystring: Type.Object({ namespace: Type.Optional(text(255)), includeTeams: flag, includeOrgs: flag }),
        response: { 200: Type.Object({ results: Type.Array(entity) }) },
      },
    },
    async request => {
      const { namespace = '', includeTeams, includeOrgs } = request.query
      const found = await search.entities(
        {
          prefix: request.params.prefix,
          namespace,
          teams: isSet(includeTeams, false),
          organizations: isSet(includeOrgs, false),
        },
        accountOf(request),
      )
      const accounts = found.accounts.map(({ name, kind, is_org_member: isMember }) => ({
        name,
        kind: 'user' as const,
        is_robot: kind === 'robot',
        avatar: avatarOf(name, kind),
        ...(found.ofOrganization ? { is_org_member: isMember } : {}),
      }))
      const teams = found.teams.map(name => ({
        name,
        kind: 'team' as const,
        is_org_member: true,
        avatar: avatarOf(name, 'team'),
      }))
      const organization = {
        name: namespace,
        kind: 'org' as const,
        is_org_member: true,
        avatar: avatarOf(namespace, 'org'),
      }
      return { results: [...teams, ...accounts, ...(found.organization ? [organization] : [])] }
    },
  )

  app.get(
    '/api/v1/find/all',
    {
      config: { api: { for: 'visitor', scope: 'repo:read' } },
      schema: {
        summary: 'Whatever one may see with a text in its name; the nearest first, 5 of each kind at most',
        tags,
        querystring: Type.Object({ query: Type.Optional(text(300)) }),
        response: { 200: Type.Object({ results: Type.Array(Type.Union([repository, team, owner])) }) },
      },
    },
    async request => {
      const { query = '' } = request.query
      const found = await search.everything(query, request.actor)
      return { results: resultsOf(found, query.toLowerCase()).toSorted((one, other) => other.score - one.score) }
    },
  )

  app.get(
    '/api/v1/find/repositories',
    {
      config: { api: { for: 'visitor', scope: 'repo:read' } },
      schema: {
        summary: `Repositories with a text in their names; ${pageSize} in a page, ${mostPages} pages`,
        tags,
        querystring: Type.Object({
          query: Type.Optional(text(300)),
          page: Type.Optional(Type.Integer()),
          includeUsage: flag,
        }),
        response: {
          200: Type.Object({
            results: Type.Array(repository),
            has_additional: Type.Boolean(),
            page: Type.Integer(),
            page_size: Type.Integer(),
            start_index: Type.Integer(),
          }),
        },
      },
    },
    async request => {
      const page = Math.min(Math.max(request.query.page ?? 1, 1), mostPages)
      const offset = (page - 1) * pageSize
      const bounds = { offset, limit: pageSize + 1 }
      const rows = await repositories.find(request.query.query ?? '', bounds, request.actor)
      const withUsage = isSet(request.query.includeUsage, false)
      return {
        results: rows.slice(0, pageSize).map(row => ({ ...viewOfRepository(row), ...(withUsage ? usageOf(row) : {}) })),
        has_additional: rows.length > pageSize,
        page,
        page_size: pageSize,
        start_index: offset,
      }
    },
  )
}

function resultsOf({ teams, robots, repositories, namespaces }: Everything, text: string) {
  return [
    ...teams.map(({ name, organization }) => ({
      kind: 'team' as const,
      name,
      organization: viewOfNamespace(organization, 'organization'),
      avatar: avatarOf(name, 'team'),
      score: scores.team * nearness(name, text),
      href: `/organization/${organization}/teams/${name}`,
    })),
    ...robots.map(({ name, namespace_kind: kind }) => {
      const [namespace = '', short = ''] = name.split('+')
      return {
        title: 'robot',
        kind: 'robot',
        avatar: null,
        name,
        score: scores.entity * nearness(short, text),
        href: `/${kind}/${namespace}?tab=robots&showRobot=${encodeURIComponent(name)}`,
        short_name: short,
      }
    }),
    ...repositories.map(row => {
      const view = viewOfRepository(row)
      return { ...view, score: scores.repository * nearness(view.name, text) }
    }),
    ...namespaces.map(({ name, kind }) => {
      const view = viewOfNamespace(name, kind)
      return { ...view, score: view.score * nearness(name, text) }
    }),
  ]
}

type FoundRepository = Everything['repositories'][number]

function viewOfRepository({ name: full, description, visibility, namespace_kind: kind }: FoundRepository) {
  const { namespace, name } = splitRepositoryName(full)
  return {
    kind: 'repository' as const,
    title: 'repo' as const,
    namespace: viewOfNamespace(namespace, kind),
    name,
    description,
    is_public: visibility === 'public',
    score: scores.repository,
    href: `/repository/${namespace}/${name}`,
  }
}

function usageOf({ last_modified: last, stars }: { last_modified: Date | null; stars: number }) {
  return { ...(last === null ? {} : { last_modified: epochSeconds(last) }), stars }
}

function viewOfNamespace(name: string, kind: 'open' | 'user' | 'organization') {
  const isUser = kind === 'user'
  return {
    title: isUser ? 'user' : 'org',
    kind: isUser ? 'user' : 'organization',
    avatar: avatarOf(name, isUser ? 'user' : 'org'),
    name,
    score: scores.entity,
    href: `/${isUser ? 'user' : 'organization'}/${name}`,
  }
}

/** How near a name is to what was typed: from 1, the same, to a half. */
function nearness(name: string, text: string): number {
  if (name === text) return 1
  if (name.startsWith(text)) return 0.9
  return name.includes(text) ? 0.7 : 0.5
}
