import { Type } from 'typebox'
import type { ShownOrganization } from '../../accounts/organizations.ts'
import { accountOf } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { text } from './organization-views.ts'
import { avatar, avatarOf } from './views.ts'

const params = Type.Object({ organization: Type.String() })

const teamView = Type.Object({
  name: Type.String(),
  description: Type.String(),
  role: Type.String(),
  avatar,
  can_view: Type.Boolean(),
  repo_count: Type.Integer(),
  member_count: Type.Integer(),
  is_synced: Type.Literal(false),
})

const organizationView = Type.Object({
  name: Type.String(),
  email: Type.String(),
  contact_email: Type.String(),
  avatar,
  is_admin: Type.Boolean(),
  is_member: Type.Boolean(),
  // For members.
  teams: Type.Optional(Type.Record(Type.String(), teamView)),
  ordered_teams: Type.Optional(Type.Array(Type.String())),
  // For admins.
  invoice_email: Type.Optional(Type.Boolean()),
  invoice_email_address: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  tag_expiration_s: Type.Optional(Type.Integer()),
  is_free_account: Type.Optional(Type.Literal(true)),
})

/** Organizations themselves. `contact_email` and `email` are two names of one address. */
export function organizationRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  const { organizations } = accounts

  app.post(
    '/api/v1/organization',
    {
      config: { api: { for: 'user', scope: 'user:admin' } },
      schema: {
        summary: 'Make an organization',
        tags: ['organization'],
        body: Type.Object({
          name: Type.String(),
          email: Type.Optional(text(254)),
          contact_email: Type.Optional(text(254)),
        }),
        response: { 201: Type.String() },
      },
    },
    async (request, reply) => {
      const { name, email, contact_email: contactEmail = email } = request.body
      await organizations.create({ name, email: contactEmail }, accountOf(request))
      return reply.code(201).type('application/json; charset=utf-8').send(JSON.stringify('Created'))
    },
  )

  app.get(
    '/api/v1/organization/:organization',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'An organization: its name for anyone, teams for members, settings for admins',
        tags: ['organization'],
        params,
        response: { 200: organizationView },
      },
    },
    async request => viewOf(await organizations.get(request.params.organization, request.actor)),
  )

  app.put(
    '/api/v1/organization/:organization',
    {
      config: { api: { for: 'organization', role: 'admin' } },
      schema: {
        summary: 'Change the settings of an organization',
        tags: ['organization'],
        params,
        body: Type.Object({
          email: Type.Optional(text(254)),
          contact_email: Type.Optional(text(254)),
          invoice_email: Type.Optional(Type.Boolean()),
          invoice_email_address: Type.Optional(Type.Union([text(254), Type.Null()])),
          tag_expiration_s: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
        }),
        response: { 200: organizationView },
      },
    },
    async request => {
      const { organization } = request.params
      const { email, contact_email: contactEmail = email, ...rest } = request.body
      await organizations.update(organization, {
        email: contactEmail,
        invoiceEmail: rest.invoice_email,
        invoiceEmailAddress: rest.invoice_email_address,
        tagExpirationSeconds: rest.tag_expiration_s,
      })
      return viewOf(await organizations.get(organization, request.actor))
    },
  )

  app.delete(
    '/api/v1/organization/:organization',
    {
      config: { api: { for: 'organization', role: 'admin', fresh: true } },
      schema: {
        summary: 'Delete an organization with all its repositories, teams, robots and applications',
        tags: ['organization'],
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await organizations.delete(request.params.organization)
      return reply.code(204).send(null)
    },
  )
}

function viewOf({ rights, teams, ...organization }: ShownOrganization) {
  const email = rights.seesAll ? (organization.email ?? '') : ''
  return {
    name: organization.name,
    email,
    contact_email: email,
    avatar: avatarOf(organization.name, 'org'),
    is_admin: rights.isAdmin,
    is_member: rights.isMember,
    ...(teams === undefined ? {} : viewOfTeams(teams, rights.seesAll)),
    ...(rights.seesAll
      ? {
          invoice_email: organization.invoice_email,
          invoice_email_address: organization.invoice_email_address,
          tag_expiration_s: organization.tag_expiration_s,
          is_free_account: true as const,
        }
      : {}),
  }
}

function viewOfTeams(teams: NonNullable<ShownOrganization['teams']>, seesAll: boolean) {
  const views = teams.map(team => ({
    name: team.name,
    description: team.description,
    role: team.role,
    avatar: avatarOf(team.name, 'team'),
    can_view: seesAll || team.is_mine,
    repo_count: team.repo_count,
    member_count: team.member_count,
    is_synced: false as const,
  }))
  return {
    teams: Object.fromEntries(views.map(view => [view.name, view])),
    ordered_teams: views.map(({ name }) => name),
  }
}
