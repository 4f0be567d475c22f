import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RegistryError } from '../oci/errors.ts'

/** What a route does with the registry. Every route says it, or the server does not start. */
export type Access = 'public' | 'pull' | 'push' | 'delete' | 'cancel' | 'catalog'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
}

/** What the operator has switched off. */
export interface AccessOptions {
  /** `storage.maintenance.readonly.enabled` */
  readOnly: boolean
  /** `storage.delete.enabled` */
  deletes: boolean
}

/** Has every route declare its access, and refuses what is switched off before anything of a body is read. */
export function requireAccess(app: FastifyInstance, options: AccessOptions): void {
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.access === undefined) throw new Error(`${String(method)} ${url} declares no access`)
  })
  app.addHook('onRequest', async request => checkAccess(request, options))
}

function checkAccess({ routeOptions }: FastifyRequest, { readOnly, deletes }: AccessOptions): void {
  const access = routeOptions.config.access
  if (readOnly && (access === 'push' || access === 'delete' || access === 'cancel')) {
    throw new RegistryError('UNSUPPORTED', {
      message: 'this registry is read-only at the moment (storage.maintenance.readonly)',
    })
  }
  if (!deletes && access === 'delete') {
    throw new RegistryError('UNSUPPORTED', {
      message: 'deleting is switched off in this registry (storage.delete.enabled)',
    })
  }
}
