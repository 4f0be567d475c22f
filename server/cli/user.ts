import { Command } from 'commander'
import type { Accounts } from '../accounts/index.ts'
import type { ManagedUser, UserAdministration } from '../accounts/superuser.ts'
import { type AccountsCommandOptions, print, withAccounts, withUser, worksOnAccounts } from './accounts-command.ts'
import { askNewPassword } from './ask-password.ts'

interface CreateOptions extends AccountsCommandOptions, PasswordOptions {
  email?: string
  superuser?: boolean
}

interface PasswordOptions {
  passwordStdin?: boolean
}

const stdinOption = ['--password-stdin', 'read the password from the standard input instead of asking for it'] as const

/** `berth user ...` */
export function userCommand(): Command {
  const create = new Command('create')
    .description('make a user; asks for the password')
    .argument('<name>', '2 to 255 lower-case letters and digits, with . _ - between them')
    .option('--email <address>', 'the e-mail address')
    .option('--superuser', 'give the user the power of a superuser')
    .option(...stdinOption)
    .action(createUser)
  const list = new Command('list').description('list all users').action(listUsers)
  const setPassword = new Command('set-password')
    .description('give a user another password; ends all sessions and refresh tokens of the user')
    .argument('<name>')
    .option(...stdinOption)
    .action(setUserPassword)
  const recover = new Command('recover')
    .description('make a code by which a user sets a new password, once and within a day (PUT /api/v1/recovery)')
    .argument('<name>')
    .action(makeRecoveryCode)
  const disable = new Command('disable')
    .description('sign a user out everywhere and refuse all credentials of the user and the user’s robots')
    .argument('<name>')
    .action((name: string, options: AccountsCommandOptions) => change(name, options, { enabled: false }))
  const enable = new Command('enable')
    .description('take a disabled user’s credentials again')
    .argument('<name>')
    .action((name: string, options: AccountsCommandOptions) => change(name, options, { enabled: true }))
  const makeSuperuser = new Command('make-superuser')
    .description('give a user the power of a superuser')
    .argument('<name>')
    .option('--revoke', 'take it back')
    .action((name: string, options: AccountsCommandOptions & { revoke?: boolean }) =>
      change(name, options, { superuser: options.revoke !== true }),
    )

  const user = new Command('user').description('make and look after the users of a registry with accounts')
  for (const command of [create, list, setPassword, recover, disable, enable, makeSuperuser])
    user.addCommand(worksOnAccounts(command))
  return user
}

async function createUser(username: string, options: CreateOptions): Promise<void> {
  const password = await askNewPassword({ stdin: options.passwordStdin === true })
  const { email, superuser = false } = options
  const user = await withAccounts(options, async ({ superuser: operations }) => {
    await operations.createUser({ username, email, password, superuser })
    return operations.user(username)
  })
  print(options, viewOf(user), [`made the user ${username}${user.power === 'superuser' ? ', a superuser' : ''}`])
}

/** Users are read in pages of so many. */
const pageSize = 500

async function listUsers(options: AccountsCommandOptions): Promise<void> {
  const users = await withAccounts(options, allUsers)
  const rows = users.map(({ name, email, enabled, power, created_at: created }) => [
    name,
    email ?? '-',
    [enabled ? '' : 'disabled', powers[power]].filter(word => word !== '').join(', ') || '-',
    created.toISOString().slice(0, 10),
  ])
  print(options, { users: users.map(viewOf) }, table([['NAME', 'E-MAIL', 'STATE', 'SINCE'], ...rows]))
}

const powers = { none: '', superuser: 'superuser', reader: 'read-only superuser' } as const

async function allUsers({ superuser }: Accounts): Promise<ManagedUser[]> {
  const users: ManagedUser[] = []
  for (;;) {
    const page = await superuser.users({ after: users.at(-1)?.id ?? 0, limit: pageSize, disabled: true })
    users.push(...page)
    if (page.length < pageSize) return users
  }
}

async function setUserPassword(name: string, options: AccountsCommandOptions & PasswordOptions): Promise<void> {
  const password = await askNewPassword({ stdin: options.passwordStdin === true })
  const user = await withUser(options, name, ({ superuser }) => superuser.changeUser(name, { password }))
  print(options, viewOf(user), [`${name} has another password; all sessions are over`])
}

async function makeRecoveryCode(name: string, options: AccountsCommandOptions): Promise<void> {
  const { code, expiresAt } = await withUser(options, name, ({ recovery }) => recovery.createCode(name))
  const until = expiresAt.toISOString()
  print(options, { username: name, code, expires: until }, [code])
  process.stderr.write(`hand the code to ${name}: it is good once, until ${until}\n`)
}

async function change(name: string, options: AccountsCommandOptions, changes: UserAdministration): Promise<void> {
  const user = await withUser(options, name, ({ superuser }) => superuser.changeUser(name, changes))
  print(options, viewOf(user), [told(user, changes)])
}

function told({ name, power }: ManagedUser, { enabled, superuser }: UserAdministration): string {
  if (enabled !== undefined) return enabled ? `${name} is enabled` : `${name} is disabled, and signed out everywhere`
  if (superuser === true)
    return `${name} is a superuser${power === 'reader' ? ' who only reads: the configuration says so' : ''}`
  return power === 'none'
    ? `${name} is no superuser`
    : `${name} stays a superuser: the configuration says so (auth.accounts)`
}

function viewOf({ name, email, enabled, power, created_at: created }: ManagedUser) {
  return {
    username: name,
    email,
    enabled,
    superuser: power === 'superuser',
    read_only_superuser: power === 'reader',
    created: created.toISOString(),
  }
}

/** Lines with columns as wide as what is in them. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
