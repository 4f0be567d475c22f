import { existsSync } from 'node:fs'
import { Command } from 'commander'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { createWorkers } from '../workers/index.ts'
import { startWorkers } from '../workers/loop.ts'
import { banner } from './banner.ts'
import { type ConfigurationOptions, processesOf, readConfiguration, takesConfiguration } from './configuration.ts'
import type { ProcessesOptions } from './http-processes.ts'
import { openRegistry } from './registry.ts'
import { createServerOf, readsDirectly, serveHttp, type Serving } from './serving.ts'
import { untilSignal } from './signals.ts'

/** How long everything else may take to stop after the requests. */
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
  const { http } = config
  const processes = processesOf(http)
  // Before anything is started: what is wrong with certificates is soon told.
  const createServer = createServerOf(http, log)

  const stopping = untilSignal()
  // While another process migrates, this one waits; there is nothing yet that would have to be stopped gently.
  let waiting = config.database.url !== undefined
  void stopping.then(signal => {
    if (!waiting) return
    log.info({ reason: signal }, 'registry stops')
    process.exit(0)
  })
  await using registry = await openRegistry(config, log, processes)
  waiting = false
  const { services, connection } = registry
  const directReads = await readsDirectly(http, log)
  const serving =
    processes === 1
      ? await serveHttp({ config, services, createServer, directReads, log })
      : await serveBySeveral({ count: processes, config, connection, directReads, log })
  const { addresses } = serving
  await using _workers = startWorkers(createWorkers(config.storage.maintenance, services, log), log)
  log.info({ addresses, data: config.data, ...(processes === 1 ? {} : { processes }) }, 'registry started')
  log.flush()
  if (config.log.formatter === 'text') process.stdout.write(banner(config, addresses))

  const reason = await Promise.race([stopping, registry.failure, serving.failure])
  log.info({ reason: String(reason) }, 'registry stops')
  await serving.stop()
  limitStop()
  if (reason instanceof Error) throw reason
}

/** What they need is loaded for them alone. */
async function serveBySeveral(options: ProcessesOptions): Promise<Serving> {
  const { serveByProcesses } = await import('./http-processes.ts')
  return serveByProcesses(options)
}
