import { setTimeout as sleep } from 'node:timers/promises'
import { memoryOf } from '../test/faults/tree.ts'
import type { Member } from './fleet.ts'
import type { Generator } from './generator/generator.ts'
import type { Extent, Load, Work } from './loads/load.ts'
import type { Sample } from './results.ts'
import { cpuSecondsOf, watchMemory } from './tree.ts'

const gibibyte = 2 ** 30
const mebibyte = 2 ** 20

export interface TurnOptions {
  load: Load
  member: Member
  generator: Generator
  /** A generator of its own for the small GET beside the load. */
  probe: Generator
  /** No other turn of the run has it. */
  number: number
  extent: Extent
  /** A folder for the generator's own files. */
  scratch: string
}

/** Puts a load on a server once. @returns undefined where the server can't do it */
export async function takeTurn(options: TurnOptions): Promise<Sample | undefined> {
  const { load, member, generator, probe, number, extent, scratch } = options
  const { target, id: server, pid } = member
  const ready = await generator.ask({ kind: 'prepare', load: load.name, target, server, number, extent, scratch })
  if (ready.kind === 'unsupported') return undefined
  const idle = load.besideIdle === true ? await idleOf(options) : undefined
  const memory = watchMemory(pid)
  await generator.ask({ kind: 'open' })
  await probe.ask({ kind: 'probe', target })
  const before = { server: cpuSecondsOf(pid), generator: cpuSecondsOf(generator.pid) }
  const done = await generator.ask({ kind: 'go' })
  const after = { server: cpuSecondsOf(pid), generator: cpuSecondsOf(generator.pid) }
  const probed = await probe.ask({ kind: 'end' })
  const { growth, ...peak } = await memory.end()
  if (done.kind !== 'done' || probed.kind !== 'probed') throw new Error('the generator answered something else')
  const { work } = done
  return {
    ...speedAndCost(load, work, after.server - before.server),
    p50: work.p50,
    p99: work.p99,
    ...peak,
    probe50: probed.p50,
    probe99: probed.p99,
    generator: (after.generator - before.generator) / work.seconds,
    ...(load.growth === true ? { growth } : {}),
    ...(idle === undefined
      ? {}
      : { idle99: idle.p99, probeToIdle: probed.p99 / idle.p99, pssMore: peak.pss - idle.pss }),
  }
}

const idleSeconds = 5

/** What a small GET and the memory are before the load. */
async function idleOf({ member, probe }: TurnOptions): Promise<{ p99: number; pss: number }> {
  await probe.ask({ kind: 'probe', target: member.target })
  await sleep(idleSeconds * 1000)
  const probed = await probe.ask({ kind: 'end' })
  if (probed.kind !== 'probed') throw new Error('the generator answered something else')
  return { p99: probed.p99, pss: memoryOf(member.pid).pss }
}

function speedAndCost({ unit }: Load, work: Work, cpuSeconds: number): Pick<Sample, 'speed' | 'cpu'> {
  if (unit === 'bytes')
    return { speed: work.bytes / mebibyte / work.seconds, cpu: cpuSeconds / (work.bytes / gibibyte) }
  return { speed: work.operations / work.seconds, cpu: (cpuSeconds * 1000) / work.operations }
}
