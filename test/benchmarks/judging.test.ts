import t from 'tap'
import { chartOf } from '../../benchmarks/chart.ts'
import { type Goal, goals, judge, passesQuickly } from '../../benchmarks/goals.ts'
import { loads } from '../../benchmarks/loads/index.ts'
import { judgeQuickly } from '../../benchmarks/quick.ts'
import type { LoadResult, Sample } from '../../benchmarks/results.ts'
import type { ServerName } from '../../benchmarks/servers/server.ts'
import { median, percentile, ratioOf } from '../../benchmarks/statistics.ts'
import { cpuSecondsIn, growthOf } from '../../benchmarks/tree.ts'

t.test('medians and percentiles are values by rank', async t => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.ok(Number.isNaN(median([])))
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at)
  t.equal(percentile(hundred, 0.5), 50)
  t.equal(percentile(hundred, 0.99), 99)
  t.equal(percentile([7], 0.99), 7)
})

t.test('a ratio is the median of the ratios round by round', async t => {
  t.equal(ratioOf([10, 40, 90], [10, 20, 30]), 2)
  t.equal(ratioOf([10, 40], [10]), 1, 'of the rounds that both have')
  t.equal(ratioOf([10], []), undefined)
  t.equal(ratioOf([10], [0]), undefined)
})

t.test('CPU time is read from stat whatever the name of the program', async t => {
  const fields = Array.from({ length: 50 }, (_, at) => at + 3)
  // The fields 14 to 17 count ticks: 14 + 15 + 16 + 17.
  t.equal(cpuSecondsIn(`42 (a) b (c) ${fields.join(' ')}\n`), 0.62)
  t.equal(cpuSecondsIn(''), 0)
})

t.test('growth compares the last fifth with the first', async t => {
  t.equal(growthOf([100, 100, 500, 500, 500, 500, 500, 500, 120, 120]), 1.2)
})

function sampleOf(speed: number): Sample {
  return { speed, p50: 1, p99: 1, cpu: 1 / speed, pss: 1, rss: 1, probe50: 1, probe99: 1, generator: 0 }
}

/** A load on which each server was as fast as said. */
function resultOf(name: string, speeds: Partial<Record<ServerName, number>>): LoadResult {
  const samples = Object.fromEntries(Object.entries(speeds).map(([server, speed]) => [server, [sampleOf(speed)]]))
  return { load: { name, title: name, unit: 'bytes', place: 'disk' }, samples }
}

const base: Goal = {
  title: 'a load',
  load: 'some',
  measure: 'speed',
  better: 'more',
  against: ['distribution', 'zot'],
  goal: 1.5,
  floor: 1,
}

t.test('a goal is held against the better of its peers, whether more or less is better', async t => {
  const results = [resultOf('some', { berth: 100, distribution: 90, zot: 50, 'docker-registry': 1000 })]
  t.match(judge(base, results), { peer: 'distribution', state: 'floor held' })
  const cpu: Goal = { ...base, measure: 'cpu', better: 'less', goal: 0.9, floor: 1.1 }
  t.match(judge(cpu, results), { peer: 'distribution', state: 'goal reached' })
})

t.test('docker-registry stands in for distribution where no peer that counts is there, and only then', async t => {
  const results = [resultOf('some', { berth: 100, 'docker-registry': 50 })]
  t.match(judge(base, results), { peer: 'docker-registry', value: 2 })
  t.equal(judge({ ...base, against: ['zot'] }, results), undefined)
  t.match(judge({ ...base, against: ['distribution'] }, results), { peer: 'docker-registry', value: 2 })
  const both = [resultOf('some', { berth: 100, distribution: 80, 'docker-registry': 50 })]
  t.match(judge({ ...base, against: ['distribution'] }, both), { peer: 'distribution' })
})

t.test('a goal may compare with another load, or with nothing', async t => {
  const results = [resultOf('some', { berth: 100 }), resultOf('other', { berth: 400 })]
  t.match(judge({ ...base, against: { load: 'other' } }, results), { value: 0.25, state: 'below the floor' })
  t.match(judge({ ...base, against: 'nothing', better: 'less', goal: 100, floor: 200 }, results), {
    state: 'goal reached',
  })
  t.equal(judge(base, []), undefined)
})

function passes(value: number, goal: Partial<Goal> = {}): boolean {
  return passesQuickly({ goal: { ...base, ...goal }, value, state: 'below the floor' })
}

t.test('the short form allows for noise below the floor, not for more', async t => {
  t.ok(passes(0.61))
  t.notOk(passes(0.59))
  t.ok(passes(1.6, { better: 'less' }))
  t.notOk(passes(1.7, { better: 'less' }))
  t.ok(passes(2.4, { better: 'less', measure: 'probe99' }), 'and for more where the slowest count')
  t.notOk(passes(2.6, { better: 'less', measure: 'probe99' }))
})

/** What the short form says of loads on which Berth was so much faster than docker-registry. */
function quickly(speeds: Record<string, number>, peer = true): { code: number; lines: string[] } {
  const lines: string[] = []
  const results = Object.entries(speeds).map(([name, berth]) =>
    resultOf(name, { berth, ...(peer ? { 'docker-registry': 1 } : {}) }),
  )
  const code = judgeQuickly({ results }, line => lines.push(line))
  return { code, lines }
}

t.test('the short form counts the floors that held and those that did not', async t => {
  const good = quickly({ 'range-64k': 20, 'range-4m': 2 })
  t.equal(good.code, 0)
  t.equal(good.lines.at(-1), '2 passed, 0 failed')
  const slow = quickly({ 'range-64k': 20, 'range-4m': 0.2 })
  t.equal(slow.code, 1)
  t.match(slow.lines.join('\n'), /^FAIL ranges of 4 MiB, to docker-registry: 0.20 x/m)
  t.equal(slow.lines.at(-1), '1 passed, 1 failed')
})

t.test('the short form fails where there is no peer to compare with', async t => {
  const alone = quickly({ 'range-64k': 20 }, false)
  t.equal(alone.code, 1)
  t.match(alone.lines.join('\n'), /install docker-registry/)
  t.equal(alone.lines.at(-1), '0 passed, 1 failed')
})

t.test('every goal is about a load that there is, and its goal is at least its floor', async t => {
  const names = new Set(loads.map(({ name }) => name))
  t.equal(names.size, loads.length)
  for (const { title, load, better, goal, floor } of goals) {
    t.ok(names.has(load), title)
    t.ok(better === 'more' ? goal >= floor : goal <= floor, title)
  }
})

t.test('the chart draws a bar to the side of the faster one, and never out of the picture', async t => {
  const rows = [{ title: 'a < b', ratios: [2, 0.5, 1000].map(ratio => ({ peer: 'one', ratio })) }]
  const svg = chartOf(rows, ['one'])
  t.match(svg, /a &lt; b/)
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="10"/g)]
  const [faster, slower, far] = bars.map(([, x, width]) => ({ from: Number(x), to: Number(x) + Number(width) }))
  t.ok(Math.abs((faster?.from ?? 0) - (slower?.to ?? Infinity)) < 0.2)
  t.ok((far?.to ?? Infinity) < 960)
})
