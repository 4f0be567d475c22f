import type { FastifyInstance } from 'fastify'
import { RegistryError } from '../../oci/errors.ts'
import type { Health } from '../../registry/health.ts'

/**
 * What balancers and kubelets ask, always without credentials: `GET /` (haproxy's plain check), `/livez` (the process
 * answers), `/readyz` (it can serve: database and store answer, and it is not on its way out).
 */
export async function healthRoutes(app: FastifyInstance, { health }: { health: Health }): Promise<void> {
  const methods = ['GET', 'HEAD']
  app.route({ method: methods, url: '/', handler: async (_request, reply) => reply.code(200).send() })
  app.route({ method: methods, url: '/livez', handler: async () => ({ status: 'ok' }) })
  app.route({
    method: methods,
    url: '/readyz',
    handler: async (_request, reply) => {
      const report = await health.check()
      return reply
        .code(report.ready ? 200 : 503)
        .send({ status: report.ready ? 'ok' : 'not ready', checks: report.checks })
    },
  })
}

/** Has the API take no requests while a check of the configuration (`health`) fails, as registry:2 does. */
export function refuseWhileUnhealthy(app: FastifyInstance, health: Health): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (!/^\/v2(?:[/?]|$)/.test(request.url) || health.failures().length === 0) {
      done()
      return
    }
    const message = 'a health check of this registry fails; /readyz tells which'
    done(new RegistryError('UNAVAILABLE', { message, headers: { 'retry-after': '10' } }))
  })
}
