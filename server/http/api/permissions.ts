import { Type } from 'typebox'
import { repositoryOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { repositoryRole } from './organization-views.ts'
import { byName, nextAfter, nextPage, pageOf } from './pages.ts'
import { repositoryParams } from './repository-views.ts'
import { avatar, avatarOf } from './views.ts'

const accountView = Type.Object({
  role: repositoryRole,
  name: Type.String(),
  is_robot: Type.Boolean(),
  avatar,
  // In the repositories of organizations.
  is_org_member: Type.Optional(Type.Boolean()),
})
const teamView = Type.Object({ role: repositoryRole, name: Type.String(), avatar })
const teamRole = Type.Object({ role: repositoryRole })

const body = Type.Object({ role: repositoryRole })
const querystring = Type.Object({ next_page: Type.Optional(Type.String()) })
const access = { api: { for: 'repository', role: 'admin' } } as const

/** What users, robots and teams may do in a repository. */
export function permissionRoutes(app: ApiInstance, options: RouteOptions): void {
  accountPermissionRoutes(app, options)
  teamPermissionRoutes(app, options)
}

function accountPermissionRoutes(app: ApiInstance, { accounts: { permissions } }: RouteOptions): void {
  const list = '/api/v1/repository/:repository/permissions/user'
  const url = `${list}/:user`
  const tags = ['permission']
  const params = Type.Object({ ...repositoryParams.properties, user: Type.String() })

  app.get(
    list,
    {
      config: access,
      schema: {
        summary: 'What users and robots were given in a repository; 1000 in a page',
        tags,
        params: repositoryParams,
        querystring,
        response: {
          200: Type.Object({ permissions: Type.Record(Type.String(), accountView), next_page: nextPage }),
        },
      },
    },
    async request => {
      const { after } = pageOf(request.query, byName)
      const { rows, next } = await permissions.listAccounts(repositoryOf(request), after)
      return { permissions: Object.fromEntries(rows.map(row => [row.name, viewOf(row)])), ...nextAfter(next) }
    },
  )

  app.get(
    url,
    {
      config: access,
      schema: { summary: 'What a user or a robot was given', tags, params, response: { 200: accountView } },
    },
    async request => viewOf(await permissions.ofAccount(repositoryOf(request), request.params.user)),
  )

  app.get(
    `${url}/transitive`,
    {
      config: access,
      schema: {
        summary: 'The roles that a user has in a repository, by itself and by teams',
        tags,
        params,
        response: { 200: Type.Object({ permissions: Type.Array(Type.Object({ role: repositoryRole })) }) },
      },
    },
    async request => {
      const roles = await permissions.rolesOf(repositoryOf(request), request.params.user)
      return { permissions: roles.map(role => ({ role })) }
    },
  )

  app.put(
    url,
    {
      config: access,
      schema: { summary: 'Give a user or a robot a role', tags, params, body, response: { 200: accountView } },
    },
    async request => {
      const { role } = request.body
      return viewOf(await permissions.setAccount(repositoryOf(request), request.params.user, role))
    },
  )

  app.delete(
    url,
    {
      config: access,
      schema: { summary: 'Take away what a user or a robot was given', tags, params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await permissions.removeAccount(repositoryOf(request), request.params.user)
      return reply.code(204).send(null)
    },
  )
}

function teamPermissionRoutes(app: ApiInstance, { accounts: { permissions } }: RouteOptions): void {
  const list = '/api/v1/repository/:repository/permissions/team'
  const url = `${list}/:team`
  const tags = ['permission']
  const params = Type.Object({ ...repositoryParams.properties, team: Type.String() })

  app.get(
    list,
    {
      config: access,
      schema: {
        summary: 'What teams were given in a repository; 1000 in a page',
        tags,
        params: repositoryParams,
        querystring,
        response: { 200: Type.Object({ permissions: Type.Record(Type.String(), teamView), next_page: nextPage }) },
      },
    },
    async request => {
      const { after } = pageOf(request.query, byName)
      const { rows, next } = await permissions.listTeams(repositoryOf(request), after)
      return { permissions: Object.fromEntries(rows.map(row => [row.name, viewOfTeam(row)])), ...nextAfter(next) }
    },
  )

  app.get(
    url,
    { config: access, schema: { summary: 'What a team was given', tags, params, response: { 200: teamRole } } },
    async request => {
      const { role } = await permissions.ofTeam(repositoryOf(request), request.params.team)
      return { role }
    },
  )

  app.put(
    url,
    {
      config: access,
      schema: { summary: 'Give a team a role', tags, params, body, response: { 200: teamView } },
    },
    async request => {
      const { role } = request.body
      return viewOfTeam(await permissions.setTeam(repositoryOf(request), request.params.team, role))
    },
  )

  app.delete(
    url,
    {
      config: access,
      schema: { summary: 'Take away what a team was given', tags, params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await permissions.removeTeam(repositoryOf(request), request.params.team)
      return reply.code(204).send(null)
    },
  )
}

type Role = 'read' | 'write' | 'admin'

interface AccountPermission {
  name: string
  kind: 'user' | 'robot'
  role: Role
  is_org_member: boolean | null
}

function viewOf({ name, kind, role, is_org_member: isMember }: AccountPermission) {
  return {
    role,
    name,
    is_robot: kind === 'robot',
    avatar: avatarOf(name, kind),
    ...(isMember === null ? {} : { is_org_member: isMember }),
  }
}

function viewOfTeam({ name, role }: { name: string; role: Role }) {
  return { role, name, avatar: avatarOf(name, 'team') }
}
