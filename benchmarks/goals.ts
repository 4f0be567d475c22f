/** What Berth is to reach beside its peers, and what it must not fall below. */
import { type LoadResult, medianOf, ratioTo } from './results.ts'
import type { ServerName } from './servers/server.ts'

const mebibyte = 2 ** 20

export interface Goal {
  title: string
  load: string
  measure: string
  /** Whether more of the measure is better, or less. */
  better: 'more' | 'less'
  /** The peers of which the better one counts, another load of Berth's own, or the bare value. */
  against: readonly ServerName[] | { load: string } | 'nothing'
  goal: number
  floor: number
}

/** Where none of the peers that count is there, docker-registry stands in for distribution, of which it is an older one. */
const better: readonly ServerName[] = ['distribution', 'zot']

type Bounds = Pick<Goal, 'goal' | 'floor'>

function speed(load: string, title: string, against: readonly ServerName[], bounds: Bounds): Goal {
  return { title, load, measure: 'speed', better: 'more', against, ...bounds }
}

function less(
  load: string,
  measure: string,
  title: string,
  { against = 'nothing', ...bounds }: Bounds & Partial<Pick<Goal, 'against'>>,
): Goal {
  return { title, load, measure, better: 'less', against, ...bounds }
}

export const goals: readonly Goal[] = [
  speed('upload-4-chunked', 'upload 1 GiB x 4, chunked', better, { goal: 1.05, floor: 0.9 }),
  speed('upload-1-chunked', 'upload 1 GiB x 1, chunked', better, { goal: 1.3, floor: 1.1 }),
  speed('upload-4-length', 'upload 1 GiB x 4, Content-Length', better, { goal: 1, floor: 0.9 }),
  less('upload-4-chunked', 'cpu', 'CPU per GiB uploaded', { against: better, goal: 0.95, floor: 1.1 }),
  less('upload-4-chunked', 'probe99', 'small GET beside the uploads, p99', { against: better, goal: 0.2, floor: 0.5 }),
  speed('small-64k', 'blobs of 64 KiB, whole sequence', ['zot'], { goal: 1.1, floor: 0.8 }),
  speed('small-64k', 'blobs of 64 KiB, whole sequence', ['distribution'], { goal: 5, floor: 3 }),
  ...['tag', 'digest'].flatMap(by => [
    speed(`manifest-get-${by}`, `manifest GET by ${by}`, ['zot'], { goal: 2, floor: 1.2 }),
    speed(`manifest-get-${by}`, `manifest GET by ${by}`, ['distribution'], { goal: 6, floor: 3 }),
  ]),
  speed('download', 'download 100 MiB x 8', ['zot'], { goal: 1, floor: 0.75 }),
  speed('download', 'download 100 MiB x 8', ['distribution'], { goal: 1.15, floor: 1 }),
  speed('range-64k', 'ranges of 64 KiB', ['zot'], { goal: 1.2, floor: 0.9 }),
  speed('range-64k', 'ranges of 64 KiB', ['distribution'], { goal: 12, floor: 5 }),
  speed('range-4m', 'ranges of 4 MiB', ['distribution'], { goal: 1.8, floor: 1.2 }),
  ...['tags', 'catalog'].flatMap(list => [
    speed(`${list}-100000`, `page of ${list} at 100,000 entries`, ['distribution'], { goal: 10, floor: 5 }),
    less(`${list}-100000`, 'p50', `page of ${list} at 100,000 entries to one at 100, p50`, {
      against: { load: `${list}-100` },
      goal: 1.2,
      floor: 1.5,
    }),
  ]),
  less('memory', 'pss', 'peak memory of 8 uploads and 8 downloads of 1 GiB, MiB', {
    goal: 300 * mebibyte,
    floor: 400 * mebibyte,
  }),
  less('mixed', 'growth', 'memory over 10 minutes of mixed load, end to beginning', { goal: 1.02, floor: 1.1 }),
  less('slow-clients', 'probeToIdle', 'small GET beside 1,000 slow clients to idle, p99', { goal: 2, floor: 4 }),
  less('slow-clients', 'pssMore', 'memory for 1,000 slow clients, MiB more than idle', {
    goal: 150 * mebibyte,
    floor: 300 * mebibyte,
  }),
]

export interface Verdict {
  goal: Goal
  /** The ratio, or the bare value. */
  value: number
  /** The peer it is a ratio to. */
  peer?: ServerName
  state: 'goal reached' | 'floor held' | 'below the floor'
}

/** What came of a goal; undefined where the run does not tell. */
export function judge(goal: Goal, results: readonly LoadResult[]): Verdict | undefined {
  const found = valueFor(goal, results)
  if (found === undefined) return undefined
  const { value } = found
  const reached = (bound: number) => (goal.better === 'more' ? value >= bound : value <= bound)
  const state = reached(goal.goal) ? 'goal reached' : reached(goal.floor) ? 'floor held' : 'below the floor'
  return { goal, ...found, state }
}

/**
 * Share of the floor that the short form allows for: a shared machine, few rounds, small bodies. The slowest of a hundred
 * small requests are as slow as the machine's other work makes them.
 */
const marginOf = (measure: string) => (measure.endsWith('99') ? 0.4 : 0.6)

/** Whether a verdict of the short form passes. */
export function passesQuickly({ goal: { better, floor, measure }, value }: Verdict): boolean {
  const margin = marginOf(measure)
  return better === 'more' ? value >= floor * margin : value <= floor / margin
}

function valueFor(
  { load, measure, better, against }: Goal,
  results: readonly LoadResult[],
): Pick<Verdict, 'value' | 'peer'> | undefined {
  const result = results.find(one => one.load.name === load)
  if (result === undefined) return undefined
  const own = medianOf(result, 'berth', measure)
  if (own === undefined) return undefined
  if (against === 'nothing') return { value: own }
  if ('load' in against) {
    const other = results.find(one => one.load.name === against.load)
    const value = other === undefined ? undefined : medianOf(other, 'berth', measure)
    return value === undefined ? undefined : { value: own / value }
  }
  const ratios = (peers: readonly ServerName[]) =>
    peers.flatMap(peer => {
      const value = ratioTo(result, peer, measure)
      return value === undefined ? [] : [{ value, peer }]
    })
  const counting = ratios(against)
  // The better peer is the one that Berth's ratio to is worse.
  const standIn = counting.length === 0 && against.includes('distribution')
  const sorted = (standIn ? ratios(['docker-registry']) : counting).toSorted((a, b) => a.value - b.value)
  return better === 'more' ? sorted[0] : sorted.at(-1)
}
