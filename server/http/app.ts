import { randomUUID } from 'node:crypto'
import { fastify, type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { Services } from '../services.ts'
import type { AccessOptions } from './access.ts'
import { drainBody } from './bodies.ts'
import { answerBrokenRequest, answerUnroutable } from './broken-requests.ts'
import { sendError } from './errors.ts'
import { createLocate, type LocationOptions } from './locations.ts'
import { logRequests } from './log.ts'
import { healthRoutes } from './ops/health.ts'
import type { CreateServer } from './server.ts'
import { v2 } from './v2/index.ts'
import { internalPath, routeOf } from './v2/paths.ts'

export interface AppOptions {
  services: Services
  log: FastifyBaseLogger
  accessLog: boolean
  locations: LocationOptions
  access: AccessOptions
  /** On every response (`http.headers`). */
  headers: Readonly<Record<string, readonly string[]>>
  /** Makes the server that listens: http, https, http2 (server/http/server.ts). */
  createServer: CreateServer
}

/** The whole HTTP side: what a request meets, in the order in which it meets it. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { services, log, locations, headers } = options
  const prefix = locations.prefix.replace(/\/$/, '')
  const app = fastify({
    serverFactory: options.createServer,
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    // Uploads take as long as they take; each body has an idle time of its own (bodies.ts).
    requestTimeout: 0,
    keepAliveTimeout: 75_000,
    routerOptions: { maxParamLength: 64 * 1024 },
    rewriteUrl: ({ url = '/' }) => rewrite(url, prefix),
    frameworkErrors: (error, request, reply) => void sendError(error, request, reply),
    clientErrorHandler: answerBrokenRequest,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
  })

  answerUnroutable(app.server)

  // Bodies are streams: the operations that want one read it themselves.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  logRequests(app, { enabled: options.accessLog })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff', ...headers })
  })
  app.addHook('onResponse', async request => drainBody(request))
  app.setErrorHandler(sendError)

  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    methods.set(url, new Set([...(methods.get(url) ?? []), method].flat()))
  })
  app.setNotFoundHandler(async request => {
    throw unrouted(request, methods)
  })

  await app.register(healthRoutes, { health: services.health })
  await app.register(v2, { services, locate: createLocate(locations), access: options.access })
  return app
}

/** The client's URL as the router wants it: without the prefix, with the repository's name as one segment. */
function rewrite(url: string, prefix: string): string {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  const rest = query < 0 ? '' : url.slice(query)
  if (prefix === '') return internalPath(path) + rest
  if (path === prefix || path.startsWith(`${prefix}/`)) return internalPath(path.slice(prefix.length) || '/') + rest
  // Checks of balancers know no prefix.
  return ['/', '/livez', '/readyz'].includes(path) ? url : `/.outside${path}`
}

/** The error for a request that no route takes: 405 where another method would do, else 404. */
function unrouted({ url, originalUrl, method }: FastifyRequest, methods: Map<string, Set<string>>): RegistryError {
  const path = url.split('?', 1)[0] ?? ''
  const known = methods.get(routeOf(path) ?? path)
  const detail = { method, path: originalUrl.split('?', 1)[0]?.slice(0, 300) }
  if (known === undefined)
    return new RegistryError('UNSUPPORTED', { status: 404, message: 'there is nothing at this path', detail })
  const allow = [...known].toSorted().join(', ')
  return new RegistryError('UNSUPPORTED', { message: `this path takes ${allow}`, headers: { allow }, detail })
}
