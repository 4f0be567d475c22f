import { Command, InvalidArgumentError, Option } from 'commander'
import { type Scope, scopes as allScopes } from '../access/actor.ts'
import { parseScopes } from '../access/scopes.ts'
import { type AccountsCommandOptions, print, withUser, worksOnAccounts } from './accounts-command.ts'

interface TokenOptions extends AccountsCommandOptions {
  scopes: readonly Scope[]
  app?: boolean
  name: string
  /** Milliseconds. */
  expiresIn: number | 'never'
}

/** `berth token ...` */
export function tokenCommand(): Command {
  const create = new Command('create')
    .description('make a token that acts as a user, and print it')
    .argument('<user>')
    .addOption(
      new Option('--scopes <scopes>', `what it is good for, of ${allScopes.join(', ')}`)
        .argParser(scopesOf)
        .default(['repo:read'], 'repo:read'),
    )
    .option(
      '--app',
      'make an application-specific token: the password of the user name $app, for clients of the registry',
    )
    .option('--name <name>', 'what it is called in lists', 'made by the command line')
    .addOption(
      new Option('--expires-in <time>', 'for how long it is good: 12h, 30d, 2y, or never, which only --app can be')
        .argParser(timeOf)
        .default(90 * day, '90d'),
    )
    .addHelpText(
      'after',
      `
Without --app it is an OAuth token: \`Authorization: Bearer TOKEN\` in the REST API, and the password of the user name
$oauthtoken for clients of the registry. It never may more than the user does. Such a token is shown this once: Berth keeps
only its hash.`,
    )
    .action(createToken)
  return new Command('token')
    .description('make tokens for users of a registry with accounts')
    .addCommand(worksOnAccounts(create))
}

async function createToken(user: string, options: TokenOptions, command: Command): Promise<void> {
  const { app = false, scopes, name, expiresIn } = options
  if (app && command.getOptionValueSource('scopes') === 'cli')
    throw new Error('an application-specific token has no scopes: leave out --scopes, or --app')
  const expiresAt = expiresIn === 'never' ? undefined : new Date(Date.now() + expiresIn)
  const token = await withUser(options, user, ({ ownTokens }) => {
    if (app) return ownTokens.createAppToken(user, { title: name, expiresAt })
    if (expiresAt === undefined)
      throw new Error('an OAuth token has to end some day: give --expires-in a time, or add --app')
    return ownTokens.createOAuthToken(user, { name, scopes, expiresAt })
  })
  const about = { username: user, kind: app ? 'app' : 'oauth', name, expires: expiresAt?.toISOString() ?? null }
  print(options, { token, ...about, ...(app ? {} : { scopes }) }, [token])
}

const hour = 3600_000
const day = 24 * hour
const units: Readonly<Record<string, number>> = { m: 60_000, h: hour, d: day, w: 7 * day, y: 365 * day }
const longest = 10 * 365 * day

function scopesOf(text: string): Scope[] {
  const scopes = parseScopes(text)
  if (scopes === undefined || scopes.length === 0)
    throw new InvalidArgumentError(`Give some of ${allScopes.join(', ')}.`)
  return [...new Set(scopes)]
}

/** Milliseconds. */
function timeOf(text: string): number | 'never' {
  if (text === 'never') return text
  const [, amount = '', unit = ''] = /^(\d+)([mhdwy])$/.exec(text) ?? []
  const time = Number(amount) * (units[unit] ?? Number.NaN)
  if (!(time > 0 && time <= longest))
    throw new InvalidArgumentError('Give a time like 12h, 30d or 2y, ten years at most.')
  return time
}
