import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from '../lib/log.ts'
import { RegistryError } from '../oci/errors.ts'

/**
 * The connection to Postgres: prepared statements, transactions that are tried again where Postgres asks for it,
 * and one meaning for "the database is away" (503, with the time after which to come back).
 */

/** A statement with the name under which each connection prepares it once. */
export interface Statement {
  name: string
  text: string
}

export function statement(name: string, text: string): Statement {
  return { name, text }
}

/** What a store function needs: the pool itself, or one transaction. */
export interface Queryable {
  /** All rows. @throws RegistryError UNAVAILABLE when Postgres can't be reached; DatabaseError for a refusal */
  rows<Row extends pg.QueryResultRow>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>
  /** The only row, or undefined. */
  row<Row extends pg.QueryResultRow>(statement: Statement, values?: readonly unknown[]): Promise<Row | undefined>
  /** How many rows it changed. */
  change(statement: Statement, values?: readonly unknown[]): Promise<number>
}

export interface Database extends Queryable, AsyncDisposable {
  /**
   * Runs the work in one transaction, durable when it resolves. It may run several times: on a deadlock or a
   * serialization failure it is rolled back and begun anew. An error thrown by the work rolls back and passes on.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>
}

export interface DatabaseOptions {
  connection: pg.ClientConfig
  /** Connections at most. */
  poolSize: number
  log: Logger
}

const retryAfterSeconds = 2
/** serialization_failure, deadlock_detected */
const worthTryingAgain = new Set(['40001', '40P01'])
/** disk_full: of this statement nothing was done, and Postgres goes on */
const full = '53100'
/** A statement that takes longer is given up, by Postgres itself. */
const statementTimeoutMs = 60_000
/** When not even that comes back, the connection is taken for dead: a network may swallow all without a word. */
const silenceTimeoutMs = statementTimeoutMs + 5_000
/** query_canceled (it took too long), operator_intervention by shutdown or crash, cannot_connect_now,
 * too_many_connections, and connection exceptions */
const away = /^(57014|57P0[1-5]|53300|08...)$/
const awayErrno = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EACCES',
  'ENOTFOUND',
  'EAI_AGAIN',
])

const int8 = 20
const numbersForInt8 = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === int8 ? Number : pg.types.getTypeParser(oid, format ?? 'text')) as typeof pg.types.getTypeParser,
}

export function openDatabase({ connection, poolSize, log }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    ...connection,
    max: poolSize,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: statementTimeoutMs,
    query_timeout: silenceTimeoutMs,
    keepAlive: true,
    application_name: 'berth',
    types: numbersForInt8,
  })
  let ending = false
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process. In the end the
  // database may be gone before the last connection is.
  pool.on('error', error => {
    if (!ending) log.warn({ err: error }, 'idle database connection lost')
  })

  async function transactionOnce<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch((error: unknown) => {
      throw translated(error)
    })
    let broken: Error | undefined
    const noteBroken = (error: Error) => (broken = error)
    client.on('error', noteBroken)
    try {
      await client.query('begin').catch(rethrowTranslated)
      const result = await work(queryable(client))
      await client.query('commit').catch(rethrowTranslated)
      return result
    } catch (error) {
      // To a Postgres that is away no one can say so: the connection ends, and the transaction with it.
      if (error instanceof RegistryError && error.code === 'UNAVAILABLE') broken = error
      else await client.query('rollback').catch(noteBroken)
      throw error
    } finally {
      client.off('error', noteBroken)
      client.release(broken)
    }
  }

  return {
    ...queryable(pool),
    async transaction(work) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await transactionOnce(work)
        } catch (error) {
          if (attempt === 6 || !worthTryingAgain.has(codeOf(error))) throw error
          await sleep(Math.random() * 10 * 2 ** attempt)
        }
      }
    },
    async [Symbol.asyncDispose]() {
      ending = true
      await pool.end()
    },
  }
}

function queryable(client: pg.Pool | pg.PoolClient): Queryable {
  const run = async <Row extends pg.QueryResultRow>({ name, text }: Statement, values: readonly unknown[] = []) => {
    try {
      return await client.query<Row>({ name, text, values: [...values] })
    } catch (error) {
      throw translated(error)
    }
  }
  return {
    rows: async <Row extends pg.QueryResultRow>(statement: Statement, values?: readonly unknown[]) =>
      (await run<Row>(statement, values)).rows,
    row: async <Row extends pg.QueryResultRow>(statement: Statement, values?: readonly unknown[]) =>
      (await run<Row>(statement, values)).rows[0],
    change: async (statement, values) => (await run(statement, values)).rowCount ?? 0,
  }
}

function rethrowTranslated(error: unknown): never {
  throw translated(error)
}

function translated(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if (codeOf(error) === full) return new RegistryError('INSUFFICIENT_STORAGE', { cause: error })
  if (!isAway(error)) return error
  return new RegistryError('UNAVAILABLE', {
    message: 'the database can not be reached at the moment; try again',
    headers: { 'retry-after': String(retryAfterSeconds) },
    cause: error,
  })
}

function isAway(error: Error): boolean {
  const code = codeOf(error)
  return (
    away.test(code) ||
    awayErrno.has(code) ||
    /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed)/i.test(
      error.message,
    )
  )
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
