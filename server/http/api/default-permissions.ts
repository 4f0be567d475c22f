import { Type } from 'typebox'
import type { DefaultPermission } from '../../accounts/default-permissions.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { repositoryRole } from './organization-views.ts'
import { avatar, avatarOf } from './views.ts'

const prototypes = '/api/v1/organization/:organization/prototypes'
const params = Type.Object({ organization: Type.String() })
const oneParams = Type.Object({ organization: Type.String(), id: Type.String() })

const userView = Type.Object({
  name: Type.String(),
  is_robot: Type.Boolean(),
  kind: Type.Literal('user'),
  is_org_member: Type.Boolean(),
  avatar,
})
const teamView = Type.Object({ name: Type.String(), kind: Type.Literal('team'), avatar })

const view = Type.Object({
  activating_user: Type.Union([userView, Type.Null()]),
  delegate: Type.Union([userView, teamView]),
  role: repositoryRole,
  id: Type.String(),
})

/** Default permissions: what a repository begins with that is made in an organization. Quay calls them prototypes. */
export function defaultPermissionRoutes(app: ApiInstance, { accounts: { defaultPermissions } }: RouteOptions): void {
  app.get(
    prototypes,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'The default permissions of an organization',
        tags: ['prototype'],
        params,
        response: { 200: Type.Object({ prototypes: Type.Array(view) }) },
      },
    },
    async request => ({ prototypes: (await defaultPermissions.list(request.params.organization)).map(viewOf) }),
  )

  app.post(
    prototypes,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Add a default permission, for all new repositories or for those of one who creates them',
        tags: ['prototype'],
        params,
        body: Type.Object({
          role: repositoryRole,
          activating_user: Type.Optional(Type.Union([Type.Object({ name: Type.String() }), Type.Null()])),
          delegate: Type.Object({
            name: Type.String(),
            kind: Type.Union([Type.Literal('user'), Type.Literal('team')]),
          }),
        }),
        response: { 200: view },
      },
    },
    async request => {
      const { role, activating_user: creator, delegate } = request.body
      const wish = { role, creator: creator?.name, delegate }
      return viewOf(await defaultPermissions.create(request.params.organization, wish))
    },
  )

  app.put(
    `${prototypes}/:id`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Change the role of a default permission',
        tags: ['prototype'],
        params: oneParams,
        body: Type.Object({ role: repositoryRole }),
        response: { 200: view },
      },
    },
    async request => {
      const { organization, id } = request.params
      return viewOf(await defaultPermissions.setRole(organization, id, request.body.role))
    },
  )

  app.delete(
    `${prototypes}/:id`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Take a default permission away; repositories that are there keep what they have',
        tags: ['prototype'],
        params: oneParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await defaultPermissions.delete(request.params.organization, request.params.id)
      return reply.code(204).send(null)
    },
  )
}

function viewOf({ id, role, creator, account, team }: DefaultPermission) {
  return {
    activating_user: creator === null ? null : viewOfUser(creator),
    delegate: account === null ? viewOfTeam(team ?? '') : viewOfUser(account),
    role,
    id,
  }
}

function viewOfUser(user: NonNullable<DefaultPermission['account']>) {
  return {
    name: user.name,
    is_robot: user.kind === 'robot',
    kind: 'user' as const,
    is_org_member: user.is_member,
    avatar: avatarOf(user.name, user.kind),
  }
}

function viewOfTeam(name: string) {
  return { name, kind: 'team' as const, avatar: avatarOf(name, 'team') }
}
