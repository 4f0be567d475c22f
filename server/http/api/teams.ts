import { Type } from 'typebox'
import type { Member } from '../../accounts/teams.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { flag, isSet, permissionsView, text, viewOfPermissions } from './organization-views.ts'
import { avatar, avatarOf } from './views.ts'

const team = '/api/v1/organization/:organization/team/:team'
const params = Type.Object({ organization: Type.String(), team: Type.String() })
const memberParams = Type.Object({ organization: Type.String(), team: Type.String(), member: Type.String() })
const teamRole = Type.Union([Type.Literal('member'), Type.Literal('creator'), Type.Literal('admin')])

const memberView = Type.Object({
  name: Type.String(),
  kind: Type.Literal('user'),
  is_robot: Type.Boolean(),
  avatar,
  invited: Type.Boolean(),
})

/** The teams of an organization and who is in them. */
export function teamRoutes(app: ApiInstance, { accounts: { teams } }: RouteOptions): void {
  app.put(
    team,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Make a team, or change it',
        tags: ['team'],
        params,
        body: Type.Object({ role: teamRole, description: Type.Optional(text(4096)) }),
        response: {
          200: Type.Object({
            name: Type.String(),
            description: Type.String(),
            can_view: Type.Boolean(),
            role: teamRole,
            avatar,
            new_team: Type.Boolean(),
          }),
        },
      },
    },
    async request => {
      const { role, description } = request.body
      const { isNew, ...made } = await teams.put(request.params, { role, description })
      return { ...made, can_view: true, avatar: avatarOf(made.name, 'team'), new_team: isNew }
    },
  )

  app.delete(
    team,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: { summary: 'Delete a team', tags: ['team'], params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await teams.delete(request.params)
      return reply.code(204).send(null)
    },
  )

  app.get(
    `${team}/members`,
    {
      config: { api: { for: 'organization', role: 'member' } },
      schema: {
        summary: 'Who is in a team: for its members and the admins',
        tags: ['team'],
        params,
        querystring: Type.Object({ includePending: flag }),
        response: {
          200: Type.Object({ name: Type.String(), members: Type.Array(memberView), can_edit: Type.Boolean() }),
        },
      },
    },
    async request => {
      const pending = isSet(request.query.includePending, false)
      const { members, invited, canEdit } = await teams.members(request.params, accountOf(request), { pending })
      const views = [
        ...members.map(member => viewOf(member, { invited: false })),
        ...invited.map(member => viewOf(member, { invited: true })),
      ]
      return { name: request.params.team, members: views, can_edit: canEdit }
    },
  )

  app.put(
    `${team}/members/:member`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Add a robot or a member of the organization to a team, or ask another user to join',
        tags: ['team'],
        params: memberParams,
        response: { 200: memberView },
      },
    },
    async request => {
      const { member, invited } = await teams.add(request.params, request.params.member, accountOf(request))
      return viewOf(member, { invited })
    },
  )

  app.delete(
    `${team}/members/:member`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Take a member out of a team, or take an invitation back',
        tags: ['team'],
        params: memberParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await teams.remove(request.params, request.params.member)
      return reply.code(204).send(null)
    },
  )

  app.get(
    `${team}/permissions`,
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'What a team may do in which repositories',
        tags: ['team'],
        params,
        response: { 200: permissionsView },
      },
    },
    async request => viewOfPermissions(await teams.permissions(request.params)),
  )
}

function viewOf(member: Member, { invited }: { invited: boolean }) {
  return {
    name: member.name,
    kind: 'user' as const,
    is_robot: member.kind === 'robot',
    avatar: avatarOf(member.name, member.kind),
    invited,
  }
}
