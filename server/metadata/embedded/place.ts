import { createHash, randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  constants,
  lchown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { codeOf, PostgresFailed } from './errors.ts'
import type { Account } from './launcher.ts'

/**
 * What lies in the folder of the embedded Postgres, and whose it is. Where Berth is root, the folder itself stays
 * root's, so that a Postgres gone astray can't lead root astray by links.
 *
 *   lock                held by the Berth that uses the folder; tells its process id
 *   password            of both roles, for Berth's eyes only
 *   cluster/            the data: what Postgres calls PGDATA
 *   cluster.new-…/      one that is being made, or was when its maker died
 *   run/                the socket; below the system's folder for temporary files where the path would be too long
 */
export interface Place {
  /** The real path. */
  folder: string
  lock: string
  password: string
  cluster: string
  sockets: string
  /** The files by which Postgres keeps a second one off the cluster and off the socket. */
  lockFiles: readonly string[]
}

/** Part of the socket's name. There is one Postgres per folder, so it need not vary. */
export const port = 5432
const socketName = `.s.PGSQL.${port}`
const longestSocketPath = process.platform === 'darwin' ? 103 : 107

/**
 * Makes the folder, and its parents, where they are missing.
 * @throws PostgresFailed when that may not be done
 */
export async function preparePlace(path: string): Promise<Place> {
  try {
    await mkdir(dirname(path), { recursive: true })
    // As root, the user as whom Postgres runs must get through, but need see nothing.
    const mode = process.getuid?.() === 0 ? 0o711 : 0o700
    await mkdir(path).then(
      () => chmod(path, mode),
      (error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
      },
    )
    const folder = await realpath(path)
    const cluster = join(folder, 'cluster')
    const sockets = socketFolderOf(folder)
    return {
      folder,
      lock: join(folder, 'lock'),
      password: join(folder, 'password'),
      cluster,
      sockets,
      lockFiles: [join(cluster, 'postmaster.pid'), join(sockets, `${socketName}.lock`)],
    }
  } catch (error) {
    throw new PostgresFailed(
      `the folder ${path} for the embedded Postgres can't be used (${codeOf(error)}): see that Berth's user may make it and write to it`,
      { cause: error },
    )
  }
}

function socketFolderOf(folder: string): string {
  const inside = join(folder, 'run')
  const fits = Buffer.byteLength(join(inside, socketName)) <= longestSocketPath
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  return fits ? inside : join(tmpdir(), `berth-${name}`)
}

/**
 * Makes the folder of the socket, or takes it over, with access for its owner only.
 * @throws PostgresFailed when someone else's stands there
 */
export async function prepareSockets({ sockets }: Place, account: Account | undefined): Promise<void> {
  await mkdir(sockets, { mode: 0o700 }).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  const foreign = (cause?: unknown) =>
    new PostgresFailed(`${sockets}, where the embedded Postgres listens, is not a folder of Berth's: remove it`, {
      cause,
    })
  // Everything by one open handle: below /tmp, what a path leads to may change from one call to the next.
  const handle = await open(sockets, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW).catch(
    (error: unknown) => {
      throw foreign(error)
    },
  )
  try {
    const { uid } = await handle.stat()
    if (uid !== process.getuid?.() && uid !== account?.uid) throw foreign()
    await handle.chmod(0o700)
    if (account) await handle.chown(account.uid, account.gid)
  } finally {
    await handle.close()
  }
}

/** Removes the folder of the socket when it lies outside and is empty. */
export async function removeSockets({ folder, sockets }: Place): Promise<void> {
  if (dirname(sockets) !== folder) await rmdir(sockets).catch(() => {})
}

/**
 * The password of both roles. It is made, and on the disk, before there is a cluster that knows it.
 * @throws PostgresFailed when there is a cluster, but no password or none that this user may read
 */
export async function readOrMakePassword({ folder, password, cluster }: Place): Promise<string> {
  const made = await readFile(password, 'utf8').catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw notOurs(password, folder, error)
  })
  if (made !== undefined) return made.trim()
  if (await exists(cluster)) {
    throw new PostgresFailed(
      `the embedded Postgres has data in ${cluster}, but its password, the file ${password}, is missing: restore it from a backup`,
    )
  }
  const temporary = `${password}${temporaryInfix()}`
  const handle = await open(temporary, 'wx', 0o600)
  try {
    await handle.writeFile(`${randomBytes(24).toString('base64url')}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  // A link, other than a rename, never replaces one that another start made meanwhile.
  await link(temporary, password).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  await rm(temporary)
  await syncFolder(folder)
  return (await readFile(password, 'utf8')).trim()
}

/** What follows the name of a thing while it is being made; tells who makes it. */
export function temporaryInfix(): string {
  return `.new-${process.pid}-${randomBytes(4).toString('hex')}`
}

/** Removes what starts that were killed left half made; `isStale` judges by the process that made it. */
export async function removeTemporaries(
  { folder }: Place,
  isStale: (maker: number) => Promise<boolean>,
): Promise<void> {
  for (const name of await readdir(folder)) {
    const maker = /^(?:cluster|password)\.new-(\d+)-/.exec(name)?.[1]
    if (maker === undefined || !(await isStale(Number(maker)))) continue
    // Some process of the killed start may still be writing there.
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

/**
 * Gives an existing cluster the owner and the permissions that Postgres asks for.
 * @throws PostgresFailed when it belongs to another user and Berth is not root
 */
export async function ownCluster({ folder, cluster }: Place, account: Account | undefined): Promise<void> {
  const { uid } = await stat(cluster)
  if (account && uid !== account.uid) await chownAll(cluster, account)
  if (!account && uid !== process.getuid?.()) throw notOurs(cluster, folder)
  await chmod(cluster, 0o700)
}

async function chownAll(path: string, { uid, gid }: Account): Promise<void> {
  for (const entry of await readdir(path, { recursive: true })) await lchown(join(path, entry), uid, gid)
  // Last, so that a walk that was cut short is done again by the next start.
  await chown(path, uid, gid)
}

/** The error for something in the folder that is another user's. */
export function notOurs(path: string, folder: string, cause?: unknown): PostgresFailed {
  return new PostgresFailed(
    `${path} belongs to another user than the one Berth runs as (uid ${process.getuid?.()}): start Berth as that user, or run chown -R ${process.getuid?.()} ${folder}`,
    { cause },
  )
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    },
  )
}

/** Makes it durable that an entry came into a folder or left it. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
