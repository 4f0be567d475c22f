import type { StorageDriver } from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import { type Database, statement } from '../metadata/database.ts'
import { createHealthChecks, type HealthCheck, type HealthCheckSettings } from './health-checks.ts'
import { bounded } from './probe.ts'

export interface HealthReport {
  ready: boolean
  /** Each part and each configured check, with `ok` or what is wrong with it. */
  checks: Record<string, string>
}

export interface Health {
  /** Asks the database and the store, and takes the configured checks as they stand. */
  check(): Promise<HealthReport>
  /** The configured checks that count as failed: while there is one, the API takes no requests. */
  failures(): string[]
  /** The configured checks, to be run beside the requests. */
  readonly checks: readonly HealthCheck[]
  /** From now on the process is not ready: balancers send their requests elsewhere. */
  beginShutdown(): void
}

export interface HealthOptions {
  database: Database
  driver: StorageDriver
  /** None when left out. */
  settings?: HealthCheckSettings | undefined
  log: Logger
}

const ping = statement('health.ping', 'select 1')
/** Longer than the database's own limit for getting a connection, whose message says more. */
const timeoutMs = 6_000

export function createHealth({ database, driver, settings, log }: HealthOptions): Health {
  let leaving = false
  const checks = settings === undefined ? [] : createHealthChecks(settings, { driver, log })
  const parts: Record<string, () => Promise<void>> = {
    database: bounded(() => database.rows(ping), timeoutMs),
    storage: bounded(() => driver.check(), timeoutMs),
  }
  return {
    async check() {
      const entries = await Promise.all(
        Object.entries(parts).map(async ([name, probe]) => [name, await outcome(probe)] as const),
      )
      const report = {
        ...Object.fromEntries(entries),
        ...Object.fromEntries(checks.map(check => [check.name, check.failure() ?? 'ok'])),
        ...(leaving ? { process: 'shutting down' } : {}),
      }
      return { ready: Object.values(report).every(result => result === 'ok'), checks: report }
    },
    failures: () => checks.filter(check => check.failure() !== undefined).map(check => check.name),
    checks,
    beginShutdown: () => {
      leaving = true
    },
  }
}

async function outcome(probe: () => Promise<void>): Promise<string> {
  try {
    await probe()
    return 'ok'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
