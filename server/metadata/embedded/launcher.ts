import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { cleanEnvironment, type Command, runToEnd } from './command.ts'
import { codeOf, PostgresFailed } from './errors.ts'
import type { Programs } from './programs.ts'

/**
 * As whom Postgres runs, and how it gets there.
 *
 * Postgres refuses to run as root. So when Berth is root, Postgres runs as the user to whom its data belongs already,
 * else as `postgres` or `nobody`. When one of the folders above the data or above the binaries is closed to that user
 * (a checkout below /root), Postgres is given the one right to pass through it, CAP_DAC_READ_SEARCH.
 *
 * Where setpriv of util-linux is there, the kernel also sends Postgres a signal when Berth dies, however it dies.
 */

/** A user and a group of the system. */
export interface Account {
  uid: number
  gid: number
}

export interface Launcher {
  /** Whose the data and the processes are; undefined when Berth's own user runs everything. */
  account: Account | undefined
  /** How to start a program so that the kernel sends it this signal when Berth dies. */
  command(program: string, args: readonly string[], deathSignal: 'INT' | 'KILL'): Command
}

/** Whom Postgres is to run as; undefined when Berth is no root and runs it as itself. */
export async function chooseAccount(cluster: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const users = await readUsers()
  const owner = await ownerOf(cluster)
  const { uid, gid } =
    owner !== undefined && owner.uid !== 0
      ? (users.find(user => user.uid === owner.uid) ?? owner)
      : (users.find(user => user.name === 'postgres' && user.uid !== 0) ??
        users.find(user => user.name === 'nobody') ?? { uid: 65534, gid: 65534 })
  return { uid, gid }
}

export interface LauncherOptions {
  account: Account | undefined
  programs: Programs
  /** The folder of the data. */
  folder: string
}

/**
 * Finds a way to start the programs and tries it out.
 * @returns the launcher, and what `postgres --version` says through it
 * @throws PostgresFailed when Postgres can't be started by any
 */
export async function createLauncher({ account, programs, folder }: LauncherOptions) {
  const setpriv = await hasSetpriv(programs.setpriv)
  const closed = account && (await firstClosed([folder, programs.postgres, programs.initdb], account))
  if (account && closed !== undefined && !setpriv) throw new PostgresFailed(mayNotEnter(closed, account, 'is missing'))

  const prefix = [
    ...(account ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : []),
    // access(2), by which Postgres looks for its own binary, heeds capabilities only without the "setuid fixup".
    ...(closed === undefined
      ? []
      : ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search', '--securebits=+no_setuid_fixup']),
  ]
  // In a session of its own: Ctrl-C in a terminal goes to every process of Berth's, and Berth still needs Postgres then.
  const options = { cwd: '/', env: cleanEnvironment, detached: true }
  const launcher: Launcher = {
    account,
    command: (program, args, deathSignal) =>
      setpriv
        ? { file: programs.setpriv, args: [...prefix, `--pdeathsig=${deathSignal}`, '--', program, ...args], options }
        : { file: program, args, options: { ...options, ...account } },
  }
  const version = await runToEnd(launcher.command(programs.postgres, ['--version'], 'KILL')).catch((error: unknown) => {
    throw new PostgresFailed(
      `${programs.postgres} can't be started (${codeOf(error)}): install Berth's packages anew`,
      {
        cause: error,
      },
    )
  })
  if (version.code !== 0) {
    throw new PostgresFailed(
      account && closed !== undefined
        ? mayNotEnter(closed, account, `is refused (${version.output})`)
        : `the embedded Postgres does not start (${version.output}): ${adviceFor(version.output)}`,
    )
  }
  return { launcher, version: version.output }
}

function mayNotEnter(closed: string, { uid }: Account, trouble: string): string {
  return (
    `Postgres does not run as root, and the user it runs as (uid ${uid}) may not enter ${closed}. ` +
    `The tool that could open the way, setpriv of util-linux, ${trouble}. ` +
    'Move Berth and its data to folders that everyone may enter, or start Berth as an ordinary user that owns them'
  )
}

function adviceFor(output: string): string {
  if (output.includes('shared libraries')) {
    return 'run npm rebuild, since npm install with --ignore-scripts leaves its libraries without their links'
  }
  if (output.startsWith('setpriv:') && !output.includes('execute'))
    return 'root may not change users here, so start Berth as an ordinary user'
  return "install Berth's packages anew"
}

/** Only util-linux's setpriv (2.33 or later) knows --pdeathsig; busybox's does not. */
async function hasSetpriv(setpriv: string): Promise<boolean> {
  try {
    const args = ['--pdeathsig=KILL', '--', setpriv, '--version']
    const { code, output } = await runToEnd({ file: setpriv, args, options: { env: cleanEnvironment } })
    return code === 0 && output.includes('util-linux')
  } catch {
    return false
  }
}

/** The first of the paths, or of the folders above them, that this user may not pass by the usual permissions. */
async function firstClosed(paths: readonly string[], { uid, gid }: Account): Promise<string | undefined> {
  const all = new Set(paths.flatMap(path => [...ancestors(path)].toReversed()))
  for (const path of all) {
    const status = await stat(path).catch(() => undefined)
    if (status === undefined) continue
    const bit = status.uid === uid ? 0o100 : status.gid === gid ? 0o010 : 0o001
    if ((status.mode & bit) === 0) return path
  }
  return undefined
}

function* ancestors(path: string): Generator<string> {
  yield path
  while (dirname(path) !== path) yield (path = dirname(path))
}

async function ownerOf(path: string): Promise<Account | undefined> {
  const status = await stat(path).catch(() => undefined)
  return status && { uid: status.uid, gid: status.gid }
}

async function readUsers(): Promise<(Account & { name: string })[]> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  return passwd
    .split('\n')
    .map(line => line.split(':'))
    .flatMap(([name, , uid, gid]) =>
      name && uid && gid ? [{ name, uid: Number.parseInt(uid, 10), gid: Number.parseInt(gid, 10) }] : [],
    )
}
