import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import type { Logger } from '../lib/log.ts'

/**
 * Migrations are numbered `.sql` files, never edited after a release, forward only. Each runs in a transaction of its
 * own under one advisory lock, so that any number of processes may start at once.
 */

const folder = new URL('../../migrations/', import.meta.url)
/** Any number that no one else in this database takes for an advisory lock; these are the letters of "bert". */
const lock = 0x62657274

export interface Migration {
  version: number
  name: string
  text: string
}

export async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(folder)).filter(name => name.endsWith('.sql')).toSorted()
  return Promise.all(
    names.map(async name => ({
      version: Number.parseInt(name, 10),
      name,
      text: await readFile(new URL(name, folder), 'utf8'),
    })),
  )
}

/**
 * Brings the database to the newest schema.
 * @returns the names of the files that were applied, in order
 * @throws Error when the database is of a newer Berth than this one
 */
export async function migrate(connection: pg.ClientConfig, log: Logger): Promise<string[]> {
  const client = new pg.Client({ ...connection, application_name: 'berth migrate' })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [lock])
    await client.query(
      `create table if not exists schema_migrations (
         version integer primary key, name text not null, applied_at timestamptz not null default now())`,
    )
    const applied = await client.query<{ version: number }>('select version from schema_migrations')
    const done = new Set(applied.rows.map(row => row.version))
    const migrations = await readMigrations()
    const newest = Math.max(0, ...migrations.map(migration => migration.version))
    const unknown = [...done].filter(version => version > newest)
    if (unknown.length > 0) {
      throw new Error(
        `the database has the schema of a newer Berth (migration ${Math.max(...unknown)}, this one knows up to ${newest}): start that version or a later one`,
      )
    }
    const names: string[] = []
    for (const migration of migrations) {
      if (done.has(migration.version)) continue
      await apply(client, migration)
      log.info({ migration: migration.name }, 'database migrated')
      names.push(migration.name)
    }
    return names
  } finally {
    // Ending the session gives the lock back.
    await client.end()
  }
}

async function apply(client: pg.Client, { version, name, text }: Migration): Promise<void> {
  await client.query('begin')
  try {
    await client.query(text)
    await client.query('insert into schema_migrations (version, name) values ($1, $2)', [version, name])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw new Error(`migration ${name} failed`, { cause: error })
  }
}
