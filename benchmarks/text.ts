import type { Load } from './loads/load.ts'
import { type LoadResult, medianOf, ratioTo, type Sample } from './results.ts'
import type { Server } from './servers/server.ts'

const mebibyte = 2 ** 20

/** A measure as it stands in tables. */
export interface Measure {
  name: string
  title: (unit: Load['unit']) => string
  show: (value: number) => string
  /** Whether more of it is better. */
  more?: true
  /** Only some loads tell it. */
  special?: true
}

export const measures: readonly Measure[] = [
  { name: 'speed', title: unit => (unit === 'bytes' ? 'MiB/s' : 'op/s'), show: figure, more: true },
  { name: 'p50', title: () => 'p50 ms', show: figure },
  { name: 'p99', title: () => 'p99 ms', show: figure },
  { name: 'cpu', title: unit => (unit === 'bytes' ? 'CPU s/GiB' : 'CPU ms/op'), show: figure },
  { name: 'pss', title: () => 'PSS MiB', show: mebibytes },
  { name: 'rss', title: () => 'RSS MiB', show: mebibytes },
  { name: 'probe50', title: () => 'GET p50', show: figure },
  { name: 'probe99', title: () => 'GET p99', show: figure },
  { name: 'idle99', title: () => 'idle GET p99', show: figure, special: true },
  { name: 'probeToIdle', title: () => 'GET to idle', show: times, special: true },
  { name: 'pssMore', title: () => 'MiB over idle', show: mebibytes, special: true },
  { name: 'growth', title: () => 'growth', show: times, special: true },
  { name: 'generator', title: () => 'generator', show: percent },
]

/** A number with three digits that count. */
export function figure(value: number): string {
  if (value >= 100) return value.toFixed(0)
  if (value >= 10) return value.toFixed(1)
  return value >= 0.1 ? value.toFixed(2) : value.toFixed(3)
}

function mebibytes(bytes: number): string {
  return (bytes / mebibyte).toFixed(0)
}

function times(ratio: number): string {
  return `${figure(ratio)} x`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}

/** A turn in one line. */
export function describeSample({ unit }: Pick<Load, 'unit'>, sample: Sample): string {
  return measures
    .map(({ name, title, show }) => {
      const value = sample[name]
      return value === undefined || Number.isNaN(value) ? '' : `${title(unit)} ${show(value)}`
    })
    .filter(text => text !== '')
    .join(', ')
}

/** The measures that a load tells. */
export function measuresOf({ samples }: LoadResult): Measure[] {
  const all = Object.values(samples).flat()
  return measures.filter(({ name, special }) => special !== true || all.some(sample => sample[name] !== undefined))
}

/** One load as a table for a terminal: the medians of each server, and below each peer Berth's ratio to it. */
export function textOf(result: LoadResult, servers: readonly Server[]): string {
  const { load } = result
  const columns = measuresOf(result)
  const rows = [[load.title, ...columns.map(({ title }) => title(load.unit))]]
  for (const { name, title } of servers) {
    if (result.samples[name] === undefined) continue
    rows.push([
      title,
      ...columns.map(measure => {
        const value = medianOf(result, name, measure.name)
        return value === undefined ? '-' : measure.show(value)
      }),
    ])
    if (name === 'berth') continue
    rows.push([
      '  Berth to it',
      ...columns.map(measure => {
        const ratio = measure.name === 'generator' ? undefined : ratioTo(result, name, measure.name)
        return ratio === undefined ? '' : `${figure(ratio)} x`
      }),
    ])
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(row =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  )
  return `\n${lines.join('\n')}`
}
