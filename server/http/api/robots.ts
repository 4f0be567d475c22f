import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Robot, RobotOwner } from '../../accounts/robots.ts'
import { pathParameter } from '../v2/parameters.ts'
import { accountOf, type ApiAccess } from './access.ts'
import type { ApiInstance, RouteOptions } from './route-options.ts'
import { flag, isSet, permissionsView, text, viewOfPermissions, withoutNamespace } from './organization-views.ts'
import { avatar, avatarOf, rfc2822 } from './views.ts'

const robotView = Type.Object({
  name: Type.String(),
  created: Type.String(),
  last_accessed: Type.Union([Type.String(), Type.Null()]),
  description: Type.String(),
  token: Type.Optional(Type.String()),
})
const listedView = Type.Object({
  ...robotView.properties,
  teams: Type.Optional(Type.Array(Type.Object({ name: Type.String(), avatar }))),
  repositories: Type.Optional(Type.Array(Type.String())),
})
const wholeView = Type.Object({
  ...robotView.properties,
  unstructured_metadata: Type.Object({}, { additionalProperties: true }),
})

/** Where robots are: a user's own, and those of an organization. */
interface Place {
  base: string
  params: Record<string, ReturnType<typeof Type.String>>
  owner(this: void, request: FastifyRequest): RobotOwner
  /** Who sees the list, and who does the rest. */
  lists: ApiAccess
  owns: ApiAccess
  of: string
}

const places: readonly Place[] = [
  {
    base: '/api/v1/user/robots',
    params: {},
    owner: () => ({ kind: 'user' }),
    lists: { for: 'user', scope: 'user:admin' },
    owns: { for: 'user', scope: 'user:admin' },
    of: 'of the user who asks',
  },
  {
    base: '/api/v1/organization/:organization/robots',
    params: { organization: Type.String() },
    owner: request => ({ kind: 'organization', name: pathParameter(request, 'organization') }),
    lists: { for: 'organization', role: 'member' },
    owns: { for: 'organization', role: 'admin' },
    of: 'of an organization',
  },
]

/** Robots: accounts for machines, of users and of organizations. */
export function robotRoutes(app: ApiInstance, options: RouteOptions): void {
  for (const place of places) routesOf(app, options, place)
}

function routesOf(app: ApiInstance, { accounts: { robots } }: RouteOptions, place: Place): void {
  const { base, owner, of } = place
  const one = `${base}/:robot`
  const params = Type.Object({ ...place.params, robot: Type.String() })

  app.get(
    base,
    {
      config: { api: place.lists },
      schema: {
        summary: `The robots ${of}`,
        tags: ['robot'],
        params: Type.Object(place.params),
        querystring: Type.Object({
          permissions: flag,
          token: flag,
          limit: Type.Optional(Type.Integer({ minimum: 1 })),
        }),
        response: { 200: Type.Object({ robots: Type.Array(listedView) }) },
      },
    },
    async request => {
      const { token, permissions, limit } = request.query
      const options = { tokens: isSet(token, true), permissions: isSet(permissions, false), limit }
      return { robots: (await robots.list(owner(request), accountOf(request), options)).map(viewOfListed) }
    },
  )

  app.get(
    one,
    {
      config: { api: place.owns },
      schema: { summary: `A robot ${of}`, tags: ['robot'], params, response: { 200: wholeView } },
    },
    async request => viewOfWhole(await robots.get(owner(request), short(request), accountOf(request))),
  )

  app.put(
    one,
    {
      config: { api: place.owns },
      schema: {
        summary: `Make a robot ${of}`,
        tags: ['robot'],
        params,
        body: Type.Union([
          Type.Object({
            description: Type.Optional(Type.Union([text(255), Type.Null()])),
            unstructured_metadata: Type.Optional(
              Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]),
            ),
          }),
          Type.Null(),
        ]),
        response: { 201: wholeView },
      },
    },
    async (request, reply) => {
      const { description, unstructured_metadata: metadata } = request.body ?? {}
      const wish = { description: description ?? '', metadata: { ...metadata } }
      const made = await robots.create(owner(request), short(request), accountOf(request), wish)
      return reply.code(201).send(viewOfWhole(made))
    },
  )

  app.delete(
    one,
    {
      config: { api: place.owns },
      schema: { summary: `Delete a robot ${of}`, tags: ['robot'], params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await robots.delete(owner(request), short(request), accountOf(request))
      return reply.code(204).send(null)
    },
  )

  app.get(
    `${one}/permissions`,
    {
      config: { api: place.owns },
      schema: {
        summary: `What a robot ${of} may do in which repositories`,
        tags: ['robot'],
        params,
        response: { 200: permissionsView },
      },
    },
    async request => viewOfPermissions(await robots.permissions(owner(request), short(request), accountOf(request))),
  )

  app.post(
    `${one}/regenerate`,
    {
      config: { api: place.owns },
      schema: {
        summary: `Give a robot ${of} another token`,
        tags: ['robot'],
        params,
        response: { 200: robotView },
      },
    },
    async request => viewOf(await robots.regenerate(owner(request), short(request), accountOf(request))),
  )
}

function short(request: FastifyRequest): string {
  return pathParameter(request, 'robot')
}

function viewOf({ name, created, lastAccessed, description, token }: Robot) {
  return {
    name,
    created: rfc2822(created) ?? '',
    last_accessed: rfc2822(lastAccessed),
    description,
    ...(token === undefined ? {} : { token }),
  }
}

function viewOfWhole(robot: Robot) {
  return { ...viewOf(robot), unstructured_metadata: robot.metadata }
}

function viewOfListed(robot: Robot) {
  const { uses } = robot
  if (uses === undefined) return viewOf(robot)
  return {
    ...viewOf(robot),
    teams: uses.teams.map(name => ({ name, avatar: avatarOf(name, 'team') })),
    repositories: uses.repositories.map(withoutNamespace),
  }
}
