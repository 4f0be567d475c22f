import { existsSync } from 'node:fs'
import { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { createApp } from '../http/app.ts'
import { directReadsWork } from '../http/bodies/direct-reads-check.ts'
import { drain } from '../http/drain.ts'
import { listen } from '../http/listen.ts'
import { type CreateServer, serverCreator } from '../http/server.ts'
import type { Services } from '../services.ts'
import { runWorker } from '../workers/loop.ts'
import { createWorkers } from '../workers/index.ts'
import { banner } from './banner.ts'
import { type ConfigurationOptions, readConfiguration, takesConfiguration } from './configuration.ts'
import { openRegistry } from './registry.ts'
import { untilSignal } from './signals.ts'

/** How long requests under way may take to end when `http.draintimeout` says nothing. */
const defaultDrainMs = 10_000
/** How long everything else may take to stop after them. */
const stopMs = 30_000

export function serveCommand(): Command {
  const command = new Command('serve').description(
    'serve the registry until SIGTERM or Ctrl-C; brings the database to the newest schema first',
  )
  return takesConfiguration(command)
    .addHelpText(
      'after',
      `
SIGTERM and SIGINT (Ctrl-C) end it gently: it takes no new connections, lets the requests under way end for as long as
http.draintimeout says (10 seconds unless set), and leaves with status 0. A second signal ends it at once. When it can
not start, it says why on the standard error and leaves with status 1.`,
    )
    .action(serve)
}

/** Starts everything, serves, and stops everything in the reverse order. @throws ConfigError and whatever keeps it from starting */
async function serve(file: string | undefined, options: ConfigurationOptions): Promise<void> {
  // `berth sevre` comes here too, since the path of a file alone means serve.
  if (file !== undefined && /^\w+$/.test(file) && !existsSync(file))
    throw new Error(`${file} is neither a command nor a file here; berth --help lists the commands`)
  const { config, log } = readConfiguration(file, options)
  let lastResort: NodeJS.Timeout | undefined
  const limitStop = () => {
    lastResort = setTimeout(() => {
      log.error('not everything could be stopped in time')
      process.exit(1)
    }, stopMs)
  }
  try {
    await run(config, log, limitStop)
    log.info('registry stopped')
  } finally {
    clearTimeout(lastResort)
  }
}

async function run(config: Config, log: Logger, limitStop: () => void): Promise<void> {
  const { tls, http2, draintimeout, addr } = config.http
  // Before anything is started: what is wrong with certificates is soon told.
  const createServer = serverCreator({ tls, http2: !http2.disabled, log })

  const stopping = untilSignal()
  // While another process migrates, this one waits; there is nothing yet that would have to be stopped gently.
  let waiting = config.database.url !== undefined
  void stopping.then(signal => {
    if (!waiting) return
    log.info({ reason: signal }, 'registry stops')
    process.exit(0)
  })
  await using registry = await openRegistry(config, log)
  waiting = false
  const app = await startHttp(config, registry.services, createServer, log)
  const addresses = await listen(app, addr)
  await using _workers = startWorkers(config, registry.services, log)
  log.info({ addresses, data: config.data }, 'registry started')
  log.flush()
  if (config.log.formatter === 'text') process.stdout.write(banner(config, addresses))

  const reason = await Promise.race([stopping, registry.failure])
  log.info({ reason: String(reason) }, 'registry stops')
  registry.services.health.beginShutdown()
  if (!(await drain(app, draintimeout || defaultDrainMs)))
    log.warn({ draintimeout }, 'requests that did not end in time were cut off')
  limitStop()
  if (reason instanceof Error) throw reason
}

async function startHttp(
  config: Config,
  services: Services,
  createServer: CreateServer,
  log: Logger,
): Promise<FastifyInstance> {
  const { http, storage } = config
  return createApp({
    directReads: http.directreads && http.tls === undefined && (await directReadsWork(log)),
    services,
    log,
    accessLog: !config.log.accesslog.disabled,
    locations: { host: http.host, prefix: http.prefix, relative: http.relativeurls },
    access: { readOnly: storage.maintenance.readonly.enabled, deletes: storage.delete.enabled },
    headers: http.headers,
    createServer,
  })
}

function startWorkers(config: Config, services: Services, log: Logger): AsyncDisposable {
  const end = new AbortController()
  const loops = createWorkers(config.storage.maintenance, services, log).map(worker =>
    runWorker(worker, { signal: end.signal, log }),
  )
  return {
    async [Symbol.asyncDispose]() {
      end.abort()
      await Promise.all(loops)
    },
  }
}
