import cookie from '@fastify/cookie'
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import type { AccountsGuard } from '../../access/accounts-guard.ts'
import type { Accounts } from '../../accounts/index.ts'
import { notFound } from '../../accounts/errors.ts'
import type { AccessOptions } from '../access.ts'
import type { Origin } from '../locations.ts'
import { requireApiAccess } from './access.ts'
import { createApiErrors } from './errors.ts'
import { appTokenRoutes } from './app-tokens.ts'
import { applicationRoutes } from './applications.ts'
import { authorizationRoutes } from './authorizations.ts'
import { discoveryRoutes } from './discovery.ts'
import { requireDocumentation } from './documented.ts'
import { defaultPermissionRoutes } from './default-permissions.ts'
import { memberRoutes } from './members.ts'
import { organizationRoutes } from './organizations.ts'
import { recoveryRoutes } from './recovery.ts'
import { robotRoutes } from './robots.ts'
import { oauthRoutes } from './oauth.ts'
import { manifestRoutes } from './manifests.ts'
import { permissionRoutes } from './permissions.ts'
import { repositoryRoutes } from './repositories.ts'
import { searchRoutes } from './search.ts'
import { starRoutes } from './stars.ts'
import { tagRoutes } from './tags.ts'
import { type Registry, typed } from './route-options.ts'
import { sessionRoutes } from './sessions.ts'
import { superuserRoutes } from './superuser.ts'
import { teamInviteRoutes } from './team-invites.ts'
import { teamRoutes } from './teams.ts'
import { userRoutes } from './users.ts'

export interface ApiOptions {
  accounts: Accounts
  registry: Registry
  guard: AccountsGuard
  origin: Origin
  /** What the operator has switched off. */
  switches: AccessOptions
}

/** Bodies are small JSON. */
const bodyLimit = 1024 * 1024

/** Quay's REST API, below `/api/v1`: only where there are accounts. */
export async function api(app: FastifyInstance, options: ApiOptions): Promise<void> {
  const { accounts, registry, guard, origin, switches } = options
  const server = typed(app)
  server.setErrorHandler(createApiErrors((request, kind) => `${origin(request)}/api/v1/error/${kind}`))
  // What is missing there is told in the words of this API.
  await server.register(
    async scope => {
      scope.setNotFoundHandler(async () => {
        throw notFound()
      })
    },
    { prefix: '/api' },
  )
  // The registry's own API reads bodies itself; here they are JSON, whatever the client says they are.
  server.removeAllContentTypeParsers()
  const json = server.getDefaultJsonParser('error', 'error')
  server.addContentTypeParser(
    ['application/json', '*'],
    { parseAs: 'string', bodyLimit },
    // Many clients announce JSON with every request, also where they send none.
    (request, body: string, done) => (body === '' ? done(null) : json(request, body, done)),
  )
  await server.register(cookie)
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Berth', description: 'The REST API of a Berth registry with accounts.', version: '1' },
      components: {
        securitySchemes: {
          oauth: { type: 'http', scheme: 'bearer', description: 'A token of an OAuth application' },
          session: { type: 'apiKey', in: 'cookie', name: 'berth_session', description: 'The session of a browser' },
        },
      },
      security: [{ oauth: [] }, { session: [] }],
    },
  })
  requireDocumentation(app)
  requireApiAccess(app, { guard, accounts, switches })

  await server.register(async scope => {
    const routes = typed(scope)
    const options = { accounts, registry, origin }
    discoveryRoutes(routes)
    sessionRoutes(routes, options)
    userRoutes(routes, options)
    applicationRoutes(routes, options)
    appTokenRoutes(routes, options)
    authorizationRoutes(routes, options)
    // In a scope of its own: it alone takes forms.
    await routes.register(async forms => oauthRoutes(typed(forms), options))
    recoveryRoutes(routes, options)
    superuserRoutes(routes, options)
    organizationRoutes(routes, options)
    teamRoutes(routes, options)
    teamInviteRoutes(routes, options)
    memberRoutes(routes, options)
    defaultPermissionRoutes(routes, options)
    robotRoutes(routes, options)
    repositoryRoutes(routes, options)
    permissionRoutes(routes, options)
    tagRoutes(routes, options)
    manifestRoutes(routes, options)
    starRoutes(routes, options)
    searchRoutes(routes, options)
  })
}
