import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import type { Accounts } from '../accounts/index.ts'
import type { Config } from '../config/config.ts'
import { silentLog } from '../lib/log.ts'
import { openDatabase } from '../metadata/database.ts'
import { DataFolderInUse } from '../metadata/embedded/errors.ts'
import { findRunningPostgres } from '../metadata/embedded/running.ts'
import { migrate } from '../metadata/migrate.ts'
import { openAccess } from './access.ts'
import { type DatabaseServer, findDatabase } from './registry.ts'

/** What commands use that work beside a Berth that serves, or without one, on the same database. */

export interface AccountsBeside extends AsyncDisposable {
  operations: Accounts
}

/** Such a command does one thing after the other. */
const poolSize = 2

/**
 * The operations on accounts, on the database of the configuration.
 * @throws Error with what to do: without accounts in the configuration, or when the database can't be used
 */
export async function openAccountsBeside(config: Config): Promise<AccountsBeside> {
  if (config.auth?.accounts === undefined)
    throw new Error('this configuration has no accounts: add `auth: { accounts: {} }` to it, and start Berth with it')
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await findDatabaseBeside(config))
  await server.migrate()
  const database = stack.use(openDatabase({ connection: server.connection, poolSize, log: silentLog }))
  const access = stack.use(await openAccess(config, { database, log: silentLog }))
  if (access.accounts === undefined) throw new Error('there are no accounts')
  const { operations } = access.accounts
  const running = stack.move()
  return { operations, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

type Beside = Pick<DatabaseServer, 'connection' | 'migrate'> & AsyncDisposable

/** A Berth that is just starting, or stopping, has its folder for so long at most without a Postgres that answers. */
const patienceMs = 30_000
const pollEveryMs = 200

/** The operator's Postgres; else the one that another Berth has started; else Berth's own, for as long as the command runs. */
async function findDatabaseBeside(config: Config): Promise<Beside> {
  const log = pino({ level: 'silent' })
  if (config.database.url !== undefined) return findDatabase(config, log)
  const until = performance.now() + patienceMs
  for (;;) {
    const connection = await findRunningPostgres(join(config.data, 'postgres'))
    if (connection !== undefined)
      return { connection, migrate: () => migrate(connection, silentLog), [Symbol.asyncDispose]: async () => {} }
    try {
      return await findDatabase(config, log)
    } catch (error) {
      if (!(error instanceof DataFolderInUse) || performance.now() > until) throw error
    }
    await sleep(pollEveryMs)
  }
}
