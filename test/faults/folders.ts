import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { findProcesses } from '../../server/metadata/embedded/processes.ts'
import { makeQuickFolder } from '../helpers/postgres.ts'
import { kill } from './tree.ts'

/** A new data folder, in memory where there is plenty. It goes with the test, after the last process that uses it. */
export async function makeDataFolder(t: Test): Promise<string> {
  const folder = await makeQuickFolder('berth-faults-')
  t.teardown(async () => {
    await endPostgres(folder)
    await rm(folder, { recursive: true, force: true })
  })
  return folder
}

/** Waits until no Postgres of a data folder is left, and helps after a while. @returns whether help was needed */
export async function endPostgres(data: string, patienceMs = 10_000): Promise<boolean> {
  const cluster = join(data, 'postgres', 'cluster')
  const until = performance.now() + patienceMs
  for (let helped = false; ;) {
    const left = await findProcesses(cluster)
    if (left.length === 0) return helped
    if (performance.now() > until) {
      helped = true
      for (const pid of left) kill(pid)
    }
    await sleep(20)
  }
}
