import { cpus, loadavg, release, totalmem } from 'node:os'
import { readFile } from 'node:fs/promises'
import { attempt } from '../conformance/process.ts'
import { projectFolder } from '../conformance/programs.ts'
import type { Options } from './options.ts'
import type { Place } from './place.ts'

/** What was measured on. */
export interface Environment {
  date: string
  commit: string
  processor: string
  cores: number
  memoryGib: number
  system: string
  node: string
  memoryPlace: string
  diskPlace: string
  /** Of the minute before. Above a few tenths, something else had its part of the machine. */
  loadAverage: number
  rounds: number
  tls: boolean
}

export async function describeEnvironment(
  { rounds, tls }: Pick<Options, 'rounds' | 'tls'>,
  places: Record<'memory' | 'disk', Place>,
): Promise<Environment> {
  const [processor] = cpus()
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: (await attempt('git', ['describe', '--always', '--dirty'], { cwd: projectFolder })).stdout.trim(),
    processor: processor?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${await distributionName()}, Linux ${release()}`,
    node: process.version,
    memoryPlace: places.memory.filesystem,
    diskPlace: places.disk.filesystem,
    loadAverage: loadavg()[0] ?? 0,
    rounds,
    tls,
  }
}

async function distributionName(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'Linux'
}
