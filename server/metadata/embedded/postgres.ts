import type pg from 'pg'
import type { Logger } from '../../lib/log.ts'
import { prepareCluster, prepareDatabase, role, superuser } from './cluster.ts'
import { DataFolderInUse, PostgresFailed } from './errors.ts'
import { lockFolder } from './folder-lock.ts'
import { chooseAccount, createLauncher } from './launcher.ts'
import { port, preparePlace, removeSockets, removeTemporaries } from './place.ts'
import { clusterName, isAlive } from './processes.ts'
import { findPrograms, type Programs } from './programs.ts'
import { startServer } from './server.ts'
import { postgresSettings } from './settings.ts'
import { supervise } from './supervise.ts'

/**
 * The Postgres that Berth brings along: a child process which keeps its data below Berth's data folder, listens on a
 * socket there, is started again when it dies, and ends with Berth.
 */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** What `pg.Pool` takes: host (the folder of the socket), port, user, password and database. */
  readonly connection: pg.ClientConfig
  /** The same for the superuser and the database `postgres`: for upkeep by hand and for tests. */
  readonly administrator: pg.ClientConfig
  /**
   * Resolves when Postgres ended and could not be started again, time after time: nothing more is tried. Never
   * rejects, and stays pending when all is well or Berth stops.
   */
  readonly failure: Promise<PostgresFailed>
}

export interface EmbeddedPostgresOptions {
  /** Its folder; made, with its parents, when missing. */
  folder: string
  log: Logger
  /** False: fast, and all may be lost with the power. For tests. */
  fsync?: boolean
  /** Settings of Postgres over Berth's own, as in postgresql.conf but without quotes. */
  settings?: Readonly<Record<string, string>>
  /** Programs other than those that npm and the system installed. */
  programs?: Partial<Programs>
  /** Milliseconds to wait before each attempt to start it again; when so many in a row have failed, it gives up. */
  restartDelays?: readonly number[]
}

const defaultRestartDelays = [0, 100, 200, 500, 1_000, 2_000, 2_000, 5_000, 5_000, 5_000]

/**
 * Starts the Postgres of a folder, and makes it first where there is none.
 *
 * To be called in the main thread: where the system can tell Postgres of the end of its parent, the parent is the
 * thread.
 * @returns when it takes connections
 * @throws DataFolderInUse when another live Berth serves this folder; PostgresFailed with the reason and what to do
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { folder, log, fsync = true, settings = {}, restartDelays = defaultRestartDelays } = options
  const began = performance.now()
  const programs = { ...(await findPrograms()), ...options.programs }
  const place = await preparePlace(folder)
  const lock = await lockFolder(place, programs.flock)
  try {
    const account = await chooseAccount(place.cluster)
    const { launcher, version } = await createLauncher({ account, programs, folder: place.folder })
    await removeTemporaries(place, async maker => lock.exclusive || !(await isAlive(maker)))
    const password = await prepareCluster({ place, launcher, programs, version, fsync })
    const socket = { host: place.sockets, port, password, ssl: false }
    const administrator = { ...socket, user: superuser, database: 'postgres' }
    const stopping = new AbortController()
    const { cluster, sockets } = place
    const ours = postgresSettings({ sockets, port, clusterName: clusterName(cluster), fsync })
    const start = () =>
      startServer({
        place,
        launcher,
        programs,
        settings: { ...ours, ...settings },
        administrator,
        exclusive: lock.exclusive,
        log,
        signal: stopping.signal,
      })

    const first = await start()
    await prepareDatabase(first.client, password).catch(async (error: unknown) => {
      await first.stop()
      throw new PostgresFailed('the database of Berth could not be made', { cause: error })
    })
    log.info(
      { folder: place.folder, pid: first.pid, ms: Math.round(performance.now() - began) },
      'embedded postgres ready',
    )

    const end = supervise({ first, start, restartDelays, log, signal: stopping.signal })
    let stopped: Promise<void> | undefined
    async function stop() {
      stopping.abort()
      await end
      await removeSockets(place)
      lock.release()
      log.info({ folder: place.folder }, 'embedded postgres stopped')
    }
    return {
      connection: { ...socket, user: role, database: role },
      administrator,
      failure: new Promise(resolve => void end.then(failure => failure && resolve(failure))),
      [Symbol.asyncDispose]: () => (stopped ??= stop()),
    }
  } catch (error) {
    lock.release()
    if (error instanceof DataFolderInUse || error instanceof PostgresFailed) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new PostgresFailed(`the embedded Postgres in ${place.folder} can't be started: ${reason}`, { cause: error })
  }
}
