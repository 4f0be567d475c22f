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
  app.addHook('onRequest', (request, _reply, done) => done(refusalOf(request, options)))
}

function refusalOf({ routeOptions }: FastifyRequest, { readOnly, deletes }: AccessOptions): RegistryError | undefined {
  const access = routeOptions.config.access
  if (readOnly && (access === 'push' || access === 'delete' || access === 'cancel'))
    return switchedOff('this registry is read-only at the moment (storage.maintenance.readonly)', routeOptions.url)
  if (!deletes && access === 'delete')
    return switchedOff('deleting is switched off in this registry (storage.delete.enabled)', routeOptions.url)
  return undefined
}

/** 405 with what the path still takes (RFC 9110 section 15.5.6); an upload takes nothing when the registry is read-only. */
function switchedOff(message: string, url: string | undefined): RegistryError {
  return new RegistryError('UNSUPPORTED', { message, headers: { allow: url?.includes('/uploads') ? '' : 'GET, HEAD' } })
}
