import type { Config } from '../config/config.ts'
import { connectionLimit } from '../metadata/connections.ts'
import type { Queryable } from '../metadata/database.ts'

/** How many connections to Postgres the processes of one Berth open, and whether it has so many. */

/** What the first of several processes opens: background work is done one thing after the other. */
export const backgroundPool = 2
/** For the locks at the start, for Postgres's own, and for someone who looks into it. */
const spare = 10
/** The embedded Postgres takes so many in any case. */
const usual = 40
/** Each is a process of Postgres. */
const mostEmbedded = 1000

/**
 * The `max_connections` that the embedded Postgres needs for so many HTTP processes.
 * @throws Error with what to do when there would be too many
 */
export function embeddedConnections({ database: { poolsize } }: Config, processes: number): number {
  const needed = neededBy(processes, poolsize) + spare
  if (needed > mostEmbedded) throw tooMany({ processes, poolsize, limit: mostEmbedded - spare, of: 'the embedded one' })
  return Math.max(usual, needed)
}

/** For a Postgres of the operator's own. @throws Error with what to do when it has not enough for them */
export async function checkConnections(
  database: Queryable,
  { database: { poolsize } }: Config,
  processes: number,
): Promise<void> {
  const limit = await connectionLimit(database)
  if (neededBy(processes, poolsize) > limit) throw tooMany({ processes, poolsize, limit, of: 'database.url (DB_URI)' })
}

function neededBy(processes: number, poolsize: number): number {
  return processes * poolsize + backgroundPool
}

interface TooMany {
  processes: number
  poolsize: number
  limit: number
  of: string
}

function tooMany({ processes, poolsize, limit, of }: TooMany): Error {
  const fitting = Math.floor((limit - backgroundPool) / processes)
  const advice =
    fitting < 1 ? 'set http.workers lower' : `set database.poolsize to ${fitting} or less, or http.workers lower`
  return new Error(
    `${processes} processes (http.workers) with ${poolsize} connections each (database.poolsize) are more than the ${limit} connections that the Postgres of Berth takes, ${of}: ${advice}${of.startsWith('database') ? ', or raise its max_connections' : ''}`,
  )
}
