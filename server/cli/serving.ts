import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { createApp } from '../http/app.ts'
import { directReadsWork } from '../http/bodies/direct-reads-check.ts'
import { drain } from '../http/drain.ts'
import { listen } from '../http/listen.ts'
import { type CreateServer, serverCreator } from '../http/server.ts'
import type { Services } from '../services.ts'

/** HTTP as it is served, by this process or by several. */
export interface Serving {
  /** URLs, or the path of a socket. */
  readonly addresses: readonly string[]
  /** Resolves when it can't go on. */
  readonly failure: Promise<Error>
  /** Takes no new connections, lets the requests under way end for as long as `http.draintimeout` says, cuts off the rest. */
  stop(): Promise<void>
}

export interface ServingOptions {
  config: Config
  services: Services
  createServer: CreateServer
  /** What `readsDirectly` says. */
  directReads: boolean
  log: Logger
}

/** How long requests under way may take to end when `http.draintimeout` says nothing. */
const defaultDrainMs = 10_000

export function drainMsOf({ draintimeout }: Config['http']): number {
  return draintimeout || defaultDrainMs
}

/** Makes the servers that speak as the configuration wants it. @throws Error with what to do when certificates can't be used */
export function createServerOf({ tls, http2 }: Config['http'], log: Logger): CreateServer {
  return serverCreator({ tls, http2: !http2.disabled, log })
}

/** Whether large bodies are to be read past Node's parser, which is tried out. */
export async function readsDirectly({ directreads, tls }: Config['http'], log: Logger): Promise<boolean> {
  return directreads && tls === undefined && (await directReadsWork(log))
}

/** Serves in this process. @returns when it listens @throws Error with what to do */
export async function serveHttp({
  config,
  services,
  createServer,
  directReads,
  log,
}: ServingOptions): Promise<Serving> {
  const { http, storage } = config
  const app = await createApp({
    directReads,
    services,
    log,
    accessLog: !config.log.accesslog.disabled,
    locations: { host: http.host, prefix: http.prefix, relative: http.relativeurls },
    access: { readOnly: storage.maintenance.readonly.enabled, deletes: storage.delete.enabled },
    headers: http.headers,
    accelRedirect: http.accelredirect,
    redirect: storage.redirect,
    trustedProxies: http.trustedproxies,
    createServer,
  })
  const addresses = await listen(app, http.addr)
  return {
    addresses,
    failure: new Promise(() => {}),
    async stop() {
      const { draintimeout } = http
      services.health.beginShutdown()
      if (!(await drain(app, drainMsOf(http))))
        log.warn({ draintimeout }, 'requests that did not end in time were cut off')
    },
  }
}
