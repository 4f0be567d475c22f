import { Type } from 'typebox'
import type { TeamInvite } from '../../accounts/team-invites.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { rfc2822 } from './views.ts'

const params = Type.Object({ code: Type.String() })

const notification = Type.Object({
  id: Type.String(),
  organization: Type.Null(),
  kind: Type.Literal('org_team_invite'),
  created: Type.String(),
  metadata: Type.Object({
    code: Type.String(),
    inviter: Type.String(),
    org: Type.String(),
    team: Type.String(),
  }),
  dismissed: Type.Literal(false),
})

/** How users learn that they were asked to join a team, and what they answer. */
export function teamInviteRoutes(app: ApiInstance, { accounts: { teamInvites } }: RouteOptions): void {
  app.get(
    '/api/v1/user/notifications',
    {
      config: { api: { for: 'user', scope: 'user:admin' } },
      schema: {
        summary: 'What waits for an answer of the user: invitations to teams',
        tags: ['user'],
        querystring: Type.Object({
          page: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 0 }),
          limit: Type.Integer({ minimum: 1, maximum: 100, default: 5 }),
        }),
        response: { 200: Type.Object({ notifications: Type.Array(notification), additional: Type.Boolean() }) },
      },
    },
    async request => {
      const { page, limit } = request.query
      const { invites, more } = await teamInvites.list(accountOf(request), { offset: page * limit, limit })
      return { notifications: invites.map(viewOf), additional: more }
    },
  )

  app.put(
    '/api/v1/teaminvite/:code',
    {
      config: { api: { for: 'user', scope: 'user:admin' } },
      schema: {
        summary: 'Join the team',
        tags: ['team'],
        params,
        response: { 200: Type.Object({ org: Type.String(), team: Type.String() }) },
      },
    },
    async request => {
      const { organization, team } = await teamInvites.accept(request.params.code, accountOf(request))
      return { org: organization, team }
    },
  )

  app.delete(
    '/api/v1/teaminvite/:code',
    {
      config: { api: { for: 'user', scope: 'user:admin' } },
      schema: { summary: 'Do not join the team', tags: ['team'], params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await teamInvites.decline(request.params.code, accountOf(request))
      return reply.code(204).send(null)
    },
  )
}

function viewOf({ code, inviter, organization, team, created_at: created }: TeamInvite) {
  return {
    id: code,
    organization: null,
    kind: 'org_team_invite' as const,
    created: rfc2822(created) ?? '',
    metadata: { code, inviter: inviter ?? '', org: organization, team },
    dismissed: false as const,
  }
}
