import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { fastify, type FastifyBaseLogger, type FastifyInstance, type FastifyRequest } from 'fastify'
import { silentLog } from '../lib/log.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Services } from '../services.ts'
import type { AccessOptions } from './access.ts'
import { api } from './api/index.ts'
import { internalApiPath } from './api/paths.ts'
import { createBufferPool } from '../bytes/buffers.ts'
import { hasBody, idleMs, leaveBody, leftOver, limitSilence } from './bodies.ts'
import { readDirectly } from './bodies/direct-reads.ts'
import { createBodyOpener } from './bodies/open-body.ts'
import { createBrokenRequests } from './broken-requests.ts'
import { waitForHandlers } from './drain.ts'
import { sendError } from './errors.ts'
import { commonHeaders } from './headers.ts'
import { createLocate, createOrigin, type LocationOptions } from './locations.ts'
import { frameworkLines, logRequests, logWhenOver } from './log.ts'
import { healthRoutes, refuseWhileUnhealthy } from './ops/health.ts'
import type { RedirectOptions } from './redirects.ts'
import type { CreateServer } from './server.ts'
import { trustedProxies } from './trusted-proxies.ts'
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
  /** Whether large bodies are read past Node's parser; only where `canReadDirectly` and the server is plain http. */
  directReads: boolean
  /** The URI that stands for the folder of the store at a proxy which sends files itself (`http.accelredirect`). */
  accelRedirect?: string | undefined
  /** Which downloads the store serves itself (`storage.redirect`); none when left out. */
  redirect?: RedirectOptions | undefined
  /** Whose `X-Forwarded-For` tells the address of a client (`http.trustedproxies`); nobody's when left out. */
  trustedProxies?: readonly string[] | undefined
  /** A client that takes nothing of an answer for so many milliseconds is cut off; half an hour when left out. */
  silenceMs?: number
}

/**
 * The whole HTTP side: what a request meets, in the order in which it meets it. Closing it waits for the requests under
 * way (drain.ts). @throws Error when a header of `headers` can't be sent, or `accelRedirect` has no files to lead to
 */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { services, log, accessLog, locations, directReads, silenceMs = 30 * 60_000 } = options
  const headers = commonHeaders(options.headers)
  const broken = createBrokenRequests({ headers, log: accessLog ? log : silentLog })
  const prefix = locations.prefix.replace(/\/$/, '')
  const app = fastify({
    serverFactory: handler => options.createServer(broken.guard(handler)),
    loggerInstance: log,
    logController: frameworkLines(),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    trustProxy: trustedProxies(options.trustedProxies ?? []),
    // A logger for each request costs as much as its line; the few lines of requests say their id themselves.
    childLoggerFactory: logger => logger,
    routerOptions: { maxParamLength: 64 * 1024 },
    rewriteUrl: ({ url = '/' }) => rewrite(url, prefix),
    // A URL that can't be decoded; no hook sees it.
    frameworkErrors: (error, request, reply) => {
      if (accessLog) logWhenOver(request, reply)
      reply.headers({ 'x-request-id': request.id, ...headers })
      sendError(error, request, reply)
    },
    clientErrorHandler: broken.answer,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
  })

  broken.attach(app.server)
  waitForHandlers(app)
  const pool = createBufferPool()
  if (directReads) readDirectly(app.server, { pool, wants: isLargeUpload, idleMs, leftOver })

  // Bodies are streams: the operations that want one read it themselves.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  if (accessLog) logRequests(app)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).headers(headers)
    done()
  })
  refuseWhileUnhealthy(app, services.health)
  app.addHook('onSend', (request, reply, payload, done) => {
    if (payload instanceof Readable) limitSilence(reply, silenceMs)
    if (!hasBody(request)) done()
    else void leaveBody(request, reply).finally(() => done())
  })
  app.setErrorHandler(sendError)

  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    methods.set(url, new Set([...(methods.get(url) ?? []), method].flat()))
  })
  app.setNotFoundHandler(async request => {
    throw unrouted(request, methods)
  })
  app.addHook('onRequest', (request, _reply, done) => {
    // `uploads/` is no upload with an empty name. Where a client leaves a part out, it is a space by now (v2/paths.ts).
    done(hasEmptyParameter(request) ? unrouted(request, methods) : undefined)
  })

  await app.register(healthRoutes, { health: services.health })
  const origin = createOrigin(locations)
  const { accounts } = services.access
  if (accounts !== undefined)
    await app.register(api, {
      accounts: accounts.operations,
      registry: services,
      guard: accounts.guard,
      origin,
      switches: options.access,
    })
  const openBody = createBodyOpener({ pool, idleMs })
  await app.register(v2, {
    services,
    locate: createLocate(locations),
    origin,
    access: options.access,
    openBody,
    accelRedirect: options.accelRedirect,
    redirect: options.redirect,
  })
  return app
}

/** Below it, to leave the parser costs more than it spares. */
const largeBody = 256 * 1024

function isLargeUpload({ url = '' }: IncomingMessage, length: number | undefined): boolean {
  return (length === undefined || length >= largeBody) && url.includes('/blobs/uploads/')
}

/** A path of no route. */
const outside = '/.outside'

/** The client's URL as the router wants it: without the prefix, with the repository's name as one segment. */
function rewrite(target: string, prefix: string): string {
  // A client may send the whole URL, as it would to a proxy (RFC 9112 section 3.2.2).
  const url = target.replace(/^https?:\/\/[^/?#]*(\/?)/i, '/')
  if (!url.startsWith('/')) return outside
  const query = url.search(/[?#]/)
  const path = query < 0 ? url : url.slice(0, query)
  const rest = query < 0 ? '' : url.slice(query)
  if (prefix === '') return routed(path) + rest
  if (path === prefix || path.startsWith(`${prefix}/`)) return routed(path.slice(prefix.length) || '/') + rest
  // Checks of balancers know no prefix.
  return ['/', '/livez', '/readyz'].includes(path) ? url : outside
}

function routed(path: string): string {
  return path.startsWith('/api/') ? internalApiPath(path) : internalPath(path)
}

function hasEmptyParameter({ params }: FastifyRequest): boolean {
  return typeof params === 'object' && params !== null && Object.values(params).includes('')
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
