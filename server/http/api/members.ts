import { Type } from 'typebox'
import type { OrganizationMember } from '../../accounts/members.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { withoutNamespace } from './organization-views.ts'
import { avatar, avatarOf } from './views.ts'

const organization = '/api/v1/organization/:organization'
const params = Type.Object({ organization: Type.String() })
const memberParams = Type.Object({ organization: Type.String(), member: Type.String() })
const kind = Type.Union([Type.Literal('user'), Type.Literal('robot')])

const memberView = Type.Object({
  name: Type.String(),
  kind,
  avatar,
  teams: Type.Array(Type.Object({ name: Type.String(), avatar })),
  repositories: Type.Array(Type.String()),
})

/** Who belongs to an organization, through its teams or by permissions of their own. */
export function memberRoutes(app: ApiInstance, { accounts: { members } }: RouteOptions): void {
  app.get(
    `${organization}/collaborators`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Users that are in no team and may do something in some repository',
        tags: ['organization'],
        params,
        response: {
          200: Type.Object({
            collaborators: Type.Array(
              Type.Object({ kind, name: Type.String(), avatar, repositories: Type.Array(Type.String()) }),
            ),
          }),
        },
      },
    },
    async request => ({ collaborators: (await members.collaborators(request.params.organization)).map(viewOf) }),
  )

  app.get(
    `${organization}/members`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Users that are in some team',
        tags: ['organization'],
        params,
        response: { 200: Type.Object({ members: Type.Array(memberView) }) },
      },
    },
    async request => ({ members: (await members.list(request.params.organization)).map(viewOf) }),
  )

  app.get(
    `${organization}/members/:member`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'A user that is in some team, or a robot',
        tags: ['organization'],
        params: memberParams,
        response: { 200: memberView },
      },
    },
    async request => viewOf(await members.get(request.params.organization, request.params.member)),
  )

  app.delete(
    `${organization}/members/:member`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Take a user out of all teams, and away all permissions',
        tags: ['organization'],
        params: memberParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await members.remove(request.params.organization, request.params.member)
      return reply.code(204).send(null)
    },
  )
}

function viewOf(member: OrganizationMember) {
  return {
    name: member.name,
    kind: member.kind,
    avatar: avatarOf(member.name, member.kind),
    teams: member.teams.map(name => ({ name, avatar: avatarOf(name, 'team') })),
    repositories: member.repositories.map(withoutNamespace),
  }
}
