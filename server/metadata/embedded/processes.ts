import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf } from './errors.ts'

/**
 * Postgres processes that are not children of this process: left by a Berth, or by a postmaster, that was killed.
 *
 * A process id alone proves nothing. After a crash or in a new container it may belong to anyone, and a zombie still
 * answers to it. So a process counts only when it runs, is called `postgres` and works in the folder of the cluster.
 */

const pollEveryMs = 20

/** The postmaster that serves the cluster, if one is alive. */
export async function findPostmaster(cluster: string): Promise<number | undefined> {
  const pid = await readPostmasterPid(cluster)
  return pid !== undefined && (await servesCluster(pid, cluster)) ? pid : undefined
}

/** The process id that a postmaster left in the cluster when it began. Whose it is now is another question. */
export async function readPostmasterPid(cluster: string): Promise<number | undefined> {
  const pid = Number.parseInt(await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => ''), 10)
  return pid > 0 ? pid : undefined
}

/** Every process of a Postgres of this cluster. None on a system without /proc. */
export async function findProcesses(cluster: string): Promise<number[]> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.filter(name => /^\d+$/.test(name)).map(Number)
  const serving = await Promise.all(pids.map(pid => servesCluster(pid, cluster)))
  return pids.filter((_, index) => serving[index])
}

/** Whether a process with this id runs; a zombie does not. */
export async function isAlive(pid: number): Promise<boolean> {
  if (!signal(pid, 0)) return false
  const status = await readStatus(pid)
  return status === undefined || !'ZX'.includes(status.state)
}

/** Waits until the postmaster has ended, and makes it: politely, then with force. */
export async function endPostmaster(pid: number, cluster: string): Promise<void> {
  const isThere = async () => ((await servesCluster(pid, cluster)) ? [pid] : [])
  await endAll(isThere, [
    ['SIGINT', 20_000],
    ['SIGQUIT', 6_000],
    ['SIGKILL', 5_000],
  ])
}

/**
 * Waits for the other processes of a postmaster that was killed: they end by themselves as soon as they notice,
 * but one that is computing notices late. Without them gone, no other postmaster starts.
 * @returns those that could not be ended
 */
export async function endLeftovers(cluster: string): Promise<number[]> {
  const findLeftovers = async () => ((await findPostmaster(cluster)) === undefined ? findProcesses(cluster) : [])
  return endAll(findLeftovers, [
    [0, 2_000],
    ['SIGQUIT', 2_000],
    ['SIGKILL', 5_000],
  ])
}

/**
 * Removes the lock files that would stop Postgres from starting. It removes those of processes that are gone by
 * itself, but not one that is empty, nor one whose process id belongs to someone else by now, or to a zombie.
 */
export async function removeStaleLockFiles(paths: readonly string[], cluster: string): Promise<void> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const pid = Math.abs(Number.parseInt(text, 10))
    const stale = pid > 0 ? signal(pid, 0) && !(await servesCluster(pid, cluster)) : true
    if (stale) await rm(path, { force: true })
  }
}

/** Sends one signal after the other, with patience in milliseconds. @returns those that are still there */
async function endAll(
  find: () => Promise<number[]>,
  steps: readonly (readonly [NodeJS.Signals | 0, number])[],
): Promise<number[]> {
  let there = await find()
  for (const [name, patienceMs] of steps) {
    for (const pid of there) signal(pid, name)
    const until = performance.now() + patienceMs
    while (there.length > 0 && performance.now() < until) {
      await sleep(pollEveryMs)
      there = await find()
    }
  }
  return there
}

/** @returns whether there was such a process */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

async function servesCluster(pid: number, cluster: string): Promise<boolean> {
  const status = await readStatus(pid)
  if (status === undefined) return process.platform !== 'linux' && signal(pid, 0)
  if (status.name !== 'postgres' || 'ZX'.includes(status.state)) return false
  try {
    const [at, wanted] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(cluster)])
    return at.dev === wanted.dev && at.ino === wanted.ino
  } catch (error) {
    // The root of a container may not look there in another user's processes, but may read their titles.
    return codeOf(error) === 'EACCES' && hasTitle(pid, cluster)
  }
}

/** Whether it is a postmaster that was started for the cluster, or a process of Postgres that bears its name. */
async function hasTitle(pid: number, cluster: string): Promise<boolean> {
  const title = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return title.split('\0').includes(cluster) || title.startsWith(`postgres: ${clusterName(cluster)}: `)
}

/** A name for Postgres to put into the titles of its processes, made from the path of the cluster. */
export function clusterName(cluster: string): string {
  return `berth ${createHash('sha256').update(cluster).digest('hex').slice(0, 12)}`
}

async function readStatus(pid: number): Promise<{ name: string; state: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [, name, state] = /^\d+ \((.*)\) (.)/s.exec(text) ?? []
  return name === undefined || state === undefined ? undefined : { name, state }
}
