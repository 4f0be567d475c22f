import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { type Database, statement } from '../metadata/database.ts'

export interface HealthReport {
  ready: boolean
  /** Each part with `ok` or what is wrong with it. */
  checks: Record<string, string>
}

export interface Health {
  check(): Promise<HealthReport>
  /** From now on the process is not ready: balancers send their requests elsewhere. */
  beginShutdown(): void
}

const ping = statement('health.ping', 'select 1')

export function createHealth({ database, driver }: { database: Database; driver: StorageDriver }): Health {
  let leaving = false
  const parts: Record<string, () => Promise<unknown>> = {
    database: () => database.rows(ping),
    storage: () => driver.check(),
  }
  return {
    async check() {
      const entries = await Promise.all(
        Object.entries(parts).map(async ([name, probe]) => [name, await outcome(probe)] as const),
      )
      const checks = { ...Object.fromEntries(entries), ...(leaving ? { process: 'shutting down' } : {}) }
      return { ready: Object.values(checks).every(result => result === 'ok'), checks }
    },
    beginShutdown: () => {
      leaving = true
    },
  }
}

async function outcome(probe: () => Promise<unknown>): Promise<string> {
  try {
    await probe()
    return 'ok'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
