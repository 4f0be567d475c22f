import pg from 'pg'

/**
 * The lock inside Postgres: a session-level advisory lock on a connection that the supervisor keeps. A Postgres whose
 * lock is free belongs to no Berth that is alive.
 */

/** Two numbers that no one else in the database `postgres` takes for an advisory lock: the letters "bert", and 1. */
const lock = [0x62657274, 1] as const

export type Attempt =
  | { kind: 'taken'; session: LockSession }
  /** By a Berth with this process id, as far as it is known. */
  | { kind: 'held'; pid: number | undefined }
  /** Postgres is starting, stopping, recovering, or not there. */
  | { kind: 'away'; error: unknown }

export interface LockSession {
  readonly client: pg.Client
  /** Settles when the connection has gone, and the lock with it. */
  readonly lost: Promise<void>
  close(): void
}

/**
 * Connects and takes the lock if it is free.
 * @throws pg.DatabaseError when Postgres refuses the connection for good, such as for a wrong password
 */
export async function tryLock(connection: pg.ClientConfig): Promise<Attempt> {
  const client = new pg.Client({
    ...connection,
    application_name: `berth ${process.pid}`,
    connectionTimeoutMillis: 5_000,
    query_timeout: 60_000,
  })
  const lost = new Promise<void>(resolve => {
    client.on('end', () => resolve())
    client.on('error', () => resolve())
  })
  // Not awaited: a Postgres that hangs would not answer the farewell.
  const close = () => void client.end().catch(() => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [...lock])
    if (rows[0]?.taken) return { kind: 'taken', session: { client, lost, close } }
    const pid = await holder(client)
    close()
    return { kind: 'held', pid }
  } catch (error) {
    close()
    if (isRefusal(error)) throw error
    return { kind: 'away', error }
  }
}

async function holder(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `select application_name as name from pg_stat_activity join pg_locks using (pid)
     where locktype = 'advisory' and classid = $1 and objid = $2 and granted`,
    [...lock],
  )
  return Number.parseInt(rows[0]?.name.replace('berth ', '') ?? '', 10) || undefined
}

/** A refusal of Postgres, other than 57P01 to 57P03 (stops, crashed, starts) and 53300 (no connection is free). */
function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !/^(57P0[123]|53300)$/.test(error.code ?? '')
}
