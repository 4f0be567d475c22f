import { chown, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { type Command, runToEnd } from './command.ts'
import { codeOf, PostgresFailed } from './errors.ts'
import type { Launcher } from './launcher.ts'
import { exists, ownCluster, type Place, readOrMakePassword, syncFolder, temporaryInfix } from './place.ts'
import type { Programs } from './programs.ts'

/** The cluster: the folder that Postgres calls PGDATA, and what must be in it before Berth can use it. */

/** The superuser, whom only the supervisor uses. */
export const superuser = 'postgres'
/** Berth's own role, and the name of its database. */
export const role = 'berth'

export interface ClusterOptions {
  place: Place
  launcher: Launcher
  programs: Programs
  /** What `postgres --version` says. */
  version: string
  fsync: boolean
}

/**
 * Sees that there is a cluster of the right version, whole and owned by whom Postgres runs as.
 * @returns the password of both roles
 * @throws PostgresFailed
 */
export async function prepareCluster(options: ClusterOptions): Promise<string> {
  const { place, launcher, version } = options
  const password = await readOrMakePassword(place)
  if (!(await exists(place.cluster))) await createCluster(options, password)
  await ownCluster(place, launcher.account)
  await checkVersion(place.cluster, version)
  return password
}

/** Made under another name and renamed when it is whole and on the disk: a start that is killed leaves no half cluster. */
async function createCluster({ place, launcher, programs, fsync }: ClusterOptions, password: string): Promise<void> {
  const { account } = launcher
  const temporary = `${place.cluster}${temporaryInfix()}`
  const data = join(temporary, 'data')
  const passwordFile = join(temporary, 'password')
  await mkdir(temporary, { mode: 0o700 })
  try {
    const handle = await open(passwordFile, 'wx', 0o600)
    try {
      await handle.writeFile(password)
      if (account) await handle.chown(account.uid, account.gid)
    } finally {
      await handle.close()
    }
    if (account) await chown(temporary, account.uid, account.gid)
    const args = [
      `--pgdata=${data}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C',
      '--no-instructions',
      ...(fsync ? [] : ['--no-sync']),
    ]
    await runInitdb(launcher.command(programs.initdb, args, 'KILL'))
    await rename(data, place.cluster).catch((error: unknown) => {
      // Another start was faster. Which of the two goes on is told by the lock, not here.
      if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) throw error
    })
    await syncFolder(place.folder)
  } finally {
    await rm(temporary, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

async function runInitdb(command: Command): Promise<void> {
  const { code, output } = await runToEnd(command)
  if (code === 0) return
  const reason = output.split('\n').find(line => /error:|FATAL:|PANIC:/.test(line)) ?? output
  throw new PostgresFailed(
    reason.includes('could not look up effective user ID')
      ? `Postgres makes no data for a user without a name (uid ${process.getuid?.()}): add a line for it to /etc/passwd, or start Berth as a user that has one`
      : `the embedded Postgres could not make its data: ${reason}`,
  )
}

async function checkVersion(cluster: string, program: string): Promise<void> {
  const found = (await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => '')).trim()
  const wanted = /(\d+)\.\d+|(\d+)(?:devel|beta|rc)/.exec(program)?.[0].match(/^\d+/)?.[0]
  if (found === wanted) return
  throw new PostgresFailed(
    found === ''
      ? `${cluster} is no data folder of Postgres: move it away, and Berth begins a new one, or restore it from a backup`
      : `${cluster} has the data of Postgres ${found}, but this Berth brings Postgres ${wanted}: start the Berth that wrote it, dump its database with pg_dump, and load it into an empty data folder of this Berth`,
  )
}

/** Sees that Berth's role and its database are there. The client is the administrator's. */
export async function prepareDatabase(client: pg.Client, password: string): Promise<void> {
  const roles = await client.query('select from pg_roles where rolname = $1', [role])
  if (roles.rowCount === 0) await client.query(`create role ${role} login password ${client.escapeLiteral(password)}`)
  const databases = await client.query('select from pg_database where datname = $1', [role])
  if (databases.rowCount === 0) await client.query(`create database ${role} owner ${role}`)
}
