import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { role } from './cluster.ts'
import { codeOf } from './errors.ts'
import { exists, notOurs, port, preparePlace } from './place.ts'

/** The socket is not there or no one listens; Postgres starts, stops, or does not know Berth's role or database yet. */
const notYet = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', '57P01', '57P02', '57P03', '28P01', '3D000'])
const connectMs = 5_000

/**
 * How to reach the Postgres of a folder that another Berth has started, for what is done beside that one.
 * @returns undefined when none takes connections there just now; whether one is about to is told by starting it
 * @throws PostgresFailed when the folder is another user's
 */
export async function findRunningPostgres(folder: string): Promise<pg.ClientConfig | undefined> {
  if (!(await exists(folder))) return undefined
  const place = await preparePlace(folder)
  const password = await readFile(place.password, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw notOurs(place.password, place.folder, error)
  })
  if (password === undefined) return undefined
  const connection = { host: place.sockets, port, password: password.trim(), ssl: false, user: role, database: role }
  const client = new pg.Client({ ...connection, application_name: 'berth', connectionTimeoutMillis: connectMs })
  // What breaks later is told by the query.
  client.on('error', () => {})
  try {
    await client.connect()
    return connection
  } catch (error) {
    if (notYet.has(codeOf(error))) return undefined
    throw ['EACCES', 'EPERM'].includes(codeOf(error)) ? notOurs(place.sockets, place.folder, error) : error
  } finally {
    await client.end().catch(() => {})
  }
}
