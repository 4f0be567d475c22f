import type { FastifyInstance } from 'fastify'
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
