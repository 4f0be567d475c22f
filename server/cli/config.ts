import { Command } from 'commander'
import { ConfigError } from '../config/config.ts'
import { describeConfig } from '../config/describe.ts'
import { defaultPlaces, loadConfig } from '../config/load.ts'

/** `berth config ...`: what is to be done with the configuration alone, without starting anything. */
export function configCommand(): Command {
  const check = new Command('check')
    .description('check the configuration and print what is in force, every default included, secrets masked')
    .argument('[file]', 'configuration file, found as for serve when left out')
    .addHelpText(
      'after',
      `
Without FILE, the file is the one that REGISTRY_CONFIGURATION_PATH names, else the first
there is of
${defaultPlaces.map(place => `  ${place}`).join('\n')}
else the built-in configuration. The REGISTRY_* variables of the environment, BERTH_DATA and
DB_URI are laid over it, just as when Berth starts.

What is in force goes to the standard output as YAML; warnings and notes go to the standard
error. The exit status is 0 when Berth could start with this configuration. When it could
not, the status is 1 and everything that is wrong is listed on the standard error.`,
    )
    .action(checkConfig)

  return new Command('config').description('look at the configuration without starting anything').addCommand(check)
}

function checkConfig(file: string | undefined): void {
  try {
    const { config, source, warnings, notes } = loadConfig({ argument: file, env: process.env })
    for (const warning of warnings) console.error(`warning: ${warning}`)
    for (const note of notes) console.error(`note: ${note}`)
    console.error(
      source === undefined ? 'note: there is no file; this is the built-in configuration' : `note: read from ${source}`,
    )
    process.stdout.write(describeConfig(config))
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
