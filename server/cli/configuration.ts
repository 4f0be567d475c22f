import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { defaultPlaces, loadConfig } from '../config/load.ts'
import { createLogger } from './logger.ts'

export interface ConfigurationOptions {
  /** Whether a file is looked for when none is named. */
  search: boolean
}

/** Gives a command the argument and the option by which it finds its configuration, and the help about them. */
export function takesConfiguration(command: Command): Command {
  return command
    .argument('[config]', 'the configuration file')
    .option('--no-search', 'take the built-in configuration where no file is named: look for none in /etc')
    .addHelpText(
      'after',
      `
Without CONFIG, the file is the one that REGISTRY_CONFIGURATION_PATH names, else the first there is of
${defaultPlaces.map(place => `  ${place}`).join('\n')}
else the built-in configuration. The environment is laid over it: BERTH_DATA for the data folder, DB_URI for a Postgres
of your own, REGISTRY_HTTP_ADDR for the address, and a REGISTRY_* variable for every other key. \`berth config check\`
prints what is in force.`,
    )
}

/** How many processes are to serve HTTP (`http.workers`). */
export function processesOf({ workers }: Config['http']): number {
  return workers === 'auto' ? availableParallelism() : workers
}

/**
 * Reads the configuration and opens the log, whose first lines are about what is odd in the configuration.
 * @throws ConfigError
 */
export function readConfiguration(
  file: string | undefined,
  { search }: ConfigurationOptions,
): { config: Config; log: Logger } {
  const places = search ? defaultPlaces : []
  const { config, source, warnings, notes } = loadConfig({ argument: file, env: process.env, places })
  const log = createLogger(config.log, { shared: processesOf(config.http) > 1 })
  for (const warning of warnings) log.warn({ configuration: source }, warning)
  for (const note of notes) log.info({ configuration: source }, note)
  if (!search && source === undefined) {
    for (const place of defaultPlaces.filter(existsSync))
      log.info({ place }, 'configuration file not read: name it as an argument to have it read')
  }
  return { config, log }
}
