import type { Command } from 'commander'
import { AccountError } from '../accounts/errors.ts'
import type { Accounts } from '../accounts/index.ts'
import { defaultPlaces, loadConfig } from '../config/load.ts'
import { openAccountsBeside } from './beside.ts'

/** What the commands on accounts have in common. */

export interface AccountsCommandOptions {
  config?: string
  /** Whether a file is looked for when none is named. */
  search: boolean
  json?: boolean
}

/** Gives a command the options by which it finds its registry, `--json`, and the help about them. */
export function worksOnAccounts(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration file of the registry')
    .option('--no-search', 'take the built-in configuration where no file is named: look for none in /etc')
    .option('--json', 'print JSON, for programs')
    .addHelpText(
      'after',
      `
Works beside a Berth that serves, and without one, on the database of the configuration: name the same file, and set the
same variables of the environment. Without --config, the file is the one that REGISTRY_CONFIGURATION_PATH names, else the
first there is of
${defaultPlaces.map(place => `  ${place}`).join('\n')}
The Postgres that Berth brings along is started for the command if it does not run. Exit status: 0 when it was done, 1
when it was not, with the reason on the standard error.`,
    )
}

/**
 * Runs work on the accounts of the registry.
 * @throws Error with what to do, in words for a person
 */
export async function withAccounts<T>(
  { config: file, search }: AccountsCommandOptions,
  work: (accounts: Accounts) => Promise<T>,
): Promise<T> {
  const { config, warnings } = loadConfig({ argument: file, env: process.env, places: search ? defaultPlaces : [] })
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
  await using beside = await openAccountsBeside(config)
  return await work(beside.operations)
}

/** The same about a user who has to be there. */
export async function withUser<T>(
  options: AccountsCommandOptions,
  name: string,
  work: (accounts: Accounts) => Promise<T>,
): Promise<T> {
  return withAccounts(options, async accounts => {
    // What else is refused says itself what it is about.
    return work(accounts).catch((error: unknown) => {
      const unknown = error instanceof AccountError && error.kind === 'not_found'
      throw unknown ? new Error(`there is no user ${name}: \`berth user list\` shows those there are`) : error
    })
  })
}

/** Prints what was done: an object for programs, or lines for people. */
export function print({ json }: AccountsCommandOptions, result: unknown, lines: readonly string[]): void {
  process.stdout.write(
    json === true ? `${JSON.stringify(result, undefined, 2)}\n` : lines.map(line => `${line}\n`).join(''),
  )
}
