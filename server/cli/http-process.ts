import type pg from 'pg'
import type { Config } from '../config/config.ts'
import { startWorkers } from '../workers/loop.ts'
import { createLogger } from './logger.ts'
import { openServices } from './registry.ts'
import { createServerOf, serveHttp } from './serving.ts'

/**
 * One of several processes that serve HTTP: the program that `http-processes.ts` starts. It does what that one says,
 * and ends with it.
 */

/** What an HTTP process is told. */
export type Order =
  | {
      kind: 'serve'
      /** As the first process has read it: a file may have changed since. */
      config: Config
      connection: pg.ClientConfig
      directReads: boolean
    }
  | { kind: 'stop' }

/** What it tells. */
export type Told = { kind: 'listening'; addresses: readonly string[] } | { kind: 'failed'; error: unknown }

const begun = Promise.withResolvers<Extract<Order, { kind: 'serve' }>>()
const stopping = Promise.withResolvers<void>()

process.on('message', (order: Order) => {
  if (order.kind === 'serve') begun.resolve(order)
  else stopping.resolve()
})
// Whoever started this one is gone, and its Postgres may be.
process.on('disconnect', () => process.exit(1))
// Ctrl-C reaches every process of a terminal. The first one passes it on.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})

function tell(told: Told): Promise<void> {
  return new Promise(resolve => process.send?.(told, undefined, undefined, () => resolve()))
}

try {
  const { config, connection, directReads } = await begun.promise
  const log = createLogger(config.log, { shared: true })
  const createServer = createServerOf(config.http, log)
  await using opened = await openServices(config, log, connection)
  const { services } = opened
  const serving = await serveHttp({ config, services, createServer, directReads, log })
  await using _checks = startWorkers(services.health.checks, log)
  await tell({ kind: 'listening', addresses: serving.addresses })
  await stopping.promise
  await serving.stop()
} catch (error) {
  await tell({ kind: 'failed', error })
  process.exit(1)
}
process.exit()
