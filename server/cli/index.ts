import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { configCommand } from './config.ts'
import { migrateCommand } from './migrate.ts'
import { serveCommand } from './serve.ts'
import { tokenCommand } from './token.ts'
import { userCommand } from './user.ts'

/** The program's version, from package.json. */
function version(): string {
  const file: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof file === 'object' && file !== null && 'version' in file ? String(file.version) : 'unknown'
}

/** Every command of `berth`. */
export function createProgram(): Command {
  return new Command('berth')
    .description('A container registry: small on one machine, large behind a balancer.')
    .version(version(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addCommand(serveCommand(), { isDefault: true })
    .addCommand(migrateCommand())
    .addCommand(configCommand())
    .addCommand(userCommand())
    .addCommand(tokenCommand())
    .addCommand(new Command('version').description('print the version').action(() => console.log(version())))
    .addHelpText(
      'after',
      `
Without a command Berth serves, and the path of a config.yml alone is taken as \`serve\` with it, as registry:2 does.
\`berth serve --help\` tells where the configuration comes from. Exit status: 0 after a clean stop, 1 when something
went wrong.`,
    )
}
