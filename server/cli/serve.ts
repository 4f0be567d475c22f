import { existsSync } from 'node:fs'
import { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { defaultPlaces, loadConfig } from '../config/load.ts'
import { createApp } from '../http/app.ts'
import { listen } from '../http/listen.ts'
import { serverCreator } from '../http/server.ts'
import type { Services } from '../services.ts'
import { runWorker } from '../workers/loop.ts'
import { createWorkers } from '../workers/index.ts'
import { banner } from './banner.ts'
import { createLogger } from './logger.ts'
import { openRegistry } from './registry.ts'
import { untilSignal } from './signals.ts'

/** How long requests under way may take to end when `http.draintimeout` says nothing. */
const defaultDrainMs = 10_000

export function serveCommand(): Command {
  return new Command('serve')
    .description('serve the registry until SIGTERM or Ctrl-C')
    .argument(
      '[config]',
      'configuration file; else REGISTRY_CONFIGURATION_PATH, /etc/distribution/config.yml, /etc/docker/registry/config.yml, or the defaults',
    )
    .option('--no-search', 'take the built-in configuration where no file is named: look for none in /etc')
    .action(serve)
}

/** Starts everything, serves, and stops everything in the reverse order. @throws ConfigError and whatever keeps it from starting */
export async function serve(file: string | undefined, { search }: { search: boolean }): Promise<void> {
  const places = search ? defaultPlaces : []
  const { config, source, warnings, notes } = loadConfig({ argument: file, env: process.env, places })
  const log = createLogger(config.log)
  for (const warning of warnings) log.warn({ configuration: source }, warning)
  for (const note of notes) log.info({ configuration: source }, note)
  if (!search && source === undefined) {
    for (const place of defaultPlaces.filter(existsSync))
      log.info({ place }, 'configuration file not read: name it as an argument to have it read')
  }

  const stopping = untilSignal()
  await using registry = await openRegistry(config, log)
  const app = await startHttp(config, registry.services, log)
  const workers = startWorkers(config, registry.services, log)
  const addresses = await listen(app, config.http.addr)
  log.info({ addresses, data: config.data }, 'registry started')
  if (config.log.formatter === 'text') process.stdout.write(banner(config, addresses))

  const reason = await Promise.race([stopping, registry.failure])
  log.info({ reason: String(reason) }, 'registry stops')
  registry.services.health.beginShutdown()
  await drain(app, config.http.draintimeout || defaultDrainMs)
  await workers.stop()
  if (reason instanceof Error) throw reason
}

function startHttp(config: Config, services: Services, log: Logger): Promise<FastifyInstance> {
  const { http, storage } = config
  return createApp({
    services,
    log,
    accessLog: !config.log.accesslog.disabled,
    locations: { host: http.host, prefix: http.prefix, relative: http.relativeurls },
    access: { readOnly: storage.maintenance.readonly.enabled, deletes: storage.delete.enabled },
    headers: http.headers,
    createServer: serverCreator({ tls: http.tls, http2: !http.http2.disabled, log }),
  })
}

/** Takes no new requests and lets those under way end, for so long. */
async function drain(app: FastifyInstance, timeoutMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), timeoutMs)
  await app.close()
  clearTimeout(cut)
}

function startWorkers(config: Config, services: Services, log: Logger): { stop(): Promise<void> } {
  const end = new AbortController()
  const loops = createWorkers(config.storage.maintenance, services, log).map(worker =>
    runWorker(worker, { signal: end.signal, log }),
  )
  return {
    async stop() {
      end.abort()
      await Promise.all(loops)
    },
  }
}
