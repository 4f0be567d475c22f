import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Accounts } from '../../accounts/index.ts'
import type { Services } from '../../services.ts'
import type { Origin } from '../locations.ts'

/** What every file of routes gets: its schemas are the types of what comes in and goes out. */
export type ApiInstance = ReturnType<typeof typed>

export const typed = (app: FastifyInstance) => app.withTypeProvider<TypeBoxTypeProvider>()

/** Operations of the registry itself that the REST API has as well. */
export type Registry = Pick<Services, 'manifests' | 'tags' | 'images' | 'labels'>

/** What the files of routes need. */
export interface RouteOptions {
  accounts: Accounts
  registry: Registry
  origin: Origin
}
