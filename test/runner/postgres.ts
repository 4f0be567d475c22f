import { startEmbeddedPostgres } from '../../server/metadata/embedded/postgres.ts'
import { silentLog } from '../../server/lib/log.ts'
import type pg from 'pg'

/**
 * One Postgres for all tests of a run, the one that Berth brings along, but without its care for the disk. Its URL,
 * of the superuser, goes into BERTH_TEST_DATABASE_URL; each test file makes databases of its own there.
 */
export async function startTestPostgres(folder: string): Promise<AsyncDisposable> {
  const postgres = await startEmbeddedPostgres({
    folder,
    log: silentLog,
    fsync: false,
    settings: { max_connections: '300' },
  })
  process.env['BERTH_TEST_DATABASE_URL'] = urlOf(postgres.administrator)
  return postgres
}

/** A folder stands where a host would: pg and libpq take it for that of the socket. */
function urlOf({ user, password, host, port, database }: pg.ClientConfig): string {
  const [name, secret, at] = [user, password, host].map(part => encodeURIComponent(String(part)))
  return `postgresql://${name}:${secret}@${at}:${port}/${database}`
}
