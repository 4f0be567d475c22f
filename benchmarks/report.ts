/** The page of a run: docs/performance.md. */
import { chartOf } from './chart.ts'
import type { Environment } from './environment.ts'
import { type Goal, goals, judge, type Verdict } from './goals.ts'
import type { Load } from './loads/load.ts'
import { type LoadResult, medianOf, ratioTo } from './results.ts'
import type { Server, ServerName } from './servers/server.ts'
import { figure, type Measure, measures, measuresOf } from './text.ts'

type Title = Pick<Server, 'name' | 'title'>

export interface RunResult {
  environment: Environment
  servers: readonly Title[]
  results: readonly LoadResult[]
}

/** The page as Markdown; `chart` is the picture's file name. */
export function pageOf(run: RunResult, chart: string): string {
  return [
    '# Performance',
    introduction(run),
    '## Measured on',
    measuredOn(run.environment, run.servers),
    '## Speed at a glance',
    `![Speed of Berth as a multiple of each peer's](${chart})`,
    'A bar to the right: Berth is so many times as fast. A bar to the left: the peer is.',
    '## Where a peer is ahead',
    peersAhead(run),
    '## Goals and floors',
    goalTable(run),
    '## The loads',
    ...run.results.map(result => `### ${capital(result.load.title)}\n\n${loadTable(result, run.servers)}`),
    '## How it was measured',
    method,
    '',
  ].join('\n\n')
}

/** The picture that goes with the page. */
export function pictureOf({ results, servers }: RunResult): string {
  const peers = servers.filter(({ name }) => name !== 'berth')
  const rows = results.flatMap(result => {
    const ratios = peers.flatMap(({ name, title }) => {
      const ratio = ratioTo(result, name, 'speed')
      return ratio === undefined ? [] : [{ peer: title, ratio }]
    })
    return ratios.length === 0 || !comparesSpeed(result) ? [] : [{ title: result.load.title, ratios }]
  })
  return chartOf(
    rows,
    peers.map(({ title }) => title),
  )
}

/** Slow clients are as fast with every server. */
function comparesSpeed({ load }: LoadResult): boolean {
  return load.name !== 'slow-clients'
}

function introduction({ environment: { rounds, tls }, servers }: RunResult): string {
  const peers = servers.flatMap(({ name, title }) => (name === 'berth' ? [] : [title]))
  return [
    `Berth beside ${peers.join(' and ') || 'no peer'}, as \`npm run bench -- --report\` has measured it${tls ? ', over TLS' : ''}.`,
    `Each number is the median of ${rounds} rounds in which the servers took turns on one machine; a ratio is Berth's value`,
    'divided by the peer’s, the median of the ratios round by round. Compare within a table: machines drift.',
  ].join('\n')
}

function measuredOn(environment: Environment, servers: readonly Title[]): string {
  const { date, commit, processor, cores, memoryGib, system, node, memoryPlace, diskPlace, loadAverage } = environment
  return [
    `- ${date}, Berth at commit ${commit}, Node ${node}`,
    `- ${processor}, ${cores} cores, ${memoryGib} GiB; ${system}; load average before the run ${figure(loadAverage)}`,
    `- large blobs, ranges and lists on ${memoryPlace}, everything else on ${diskPlace}`,
    `- ${servers.map(({ title }) => title).join(', ')}`,
    '- clients and servers share the cores, so the CPU of the server counts as much as the speed',
  ].join('\n')
}

const aheadMeasures = [
  { name: 'speed', words: 'is faster' },
  { name: 'cpu', words: 'takes less CPU' },
  { name: 'probe99', words: 'answers a small GET beside it sooner (p99)' },
  { name: 'pss', words: 'takes less memory' },
]
/** Less than this is noise. */
const noise = 0.03

function peersAhead({ results, servers }: RunResult): string {
  const lines = results.flatMap(result =>
    servers.flatMap(({ name, title }) => {
      const ahead = aheadMeasures.flatMap(({ name: measureName, words }) => {
        const measure = measures.find(one => one.name === measureName)
        const ratio = ratioTo(result, name, measureName)
        if (name === 'berth' || ratio === undefined || measure === undefined) return []
        if (measureName === 'speed' && !comparesSpeed(result)) return []
        const peerWins = measure.more === true ? ratio < 1 - noise : ratio > 1 + noise
        return peerWins ? [`${words}: ${both(result, name, measure)}`] : []
      })
      return ahead.length === 0 ? [] : [`- ${result.load.title}: ${title} ${ahead.join('; ')}`]
    }),
  )
  return lines.length === 0 ? 'Nowhere in this run.' : lines.join('\n')
}

function both(result: LoadResult, peer: ServerName, measure: Measure): string {
  const show = (server: ServerName) => {
    const value = medianOf(result, server, measure.name)
    return value === undefined ? '-' : measure.show(value)
  }
  return `${show(peer)} against ${show('berth')} ${measure.title(result.load.unit)}`
}

function goalTable({ results }: RunResult): string {
  const rows = goals.map(goal => {
    const verdict = judge(goal, results)
    return [
      goal.title,
      againstOf(goal, verdict),
      boundOf(goal, goal.goal),
      boundOf(goal, goal.floor),
      verdict === undefined ? '-' : boundOf(goal, verdict.value),
      verdict?.state ?? 'not measured',
    ]
  })
  return table(['load', 'against', 'goal', 'floor', 'measured', ''], rows)
}

function againstOf({ against }: Goal, verdict: Verdict | undefined): string {
  if (against === 'nothing') return ''
  if ('load' in against) return 'itself'
  return verdict?.peer ?? against.join(' or ')
}

/** A bound or a value of a goal as people read it. */
export function boundOf({ against, measure }: Pick<Goal, 'against' | 'measure'>, value: number): string {
  const shown = measures.find(one => one.name === measure)
  return against === 'nothing' && shown !== undefined ? shown.show(value) : `${figure(value)} x`
}

function loadTable(result: LoadResult, servers: readonly Title[]): string {
  const columns = measuresOf(result)
  const present = servers.filter(({ name }) => result.samples[name] !== undefined)
  const absent = servers.filter(({ name }) => result.samples[name] === undefined)
  const rows = present.flatMap(({ name, title }) => [
    [title, ...columns.map(column => cell(medianOf(result, name, column.name), column.show))],
    ...(name === 'berth'
      ? []
      : [
          [
            'Berth to it',
            ...columns.map(column => cell(ratioCell(result, name, column), value => `${figure(value)} x`)),
          ],
        ]),
  ])
  const shown = table(['', ...columns.map(({ title }) => title(result.load.unit))], rows)
  const alone = present.length === 1 && present[0]?.name === 'berth'
  if (absent.length === 0 || alone) return shown
  return `${shown}\n\nNot offered by ${absent.map(({ title }) => title).join(', ')}.`
}

function ratioCell(result: LoadResult, peer: ServerName, { name }: Measure): number | undefined {
  return name === 'generator' ? undefined : ratioTo(result, peer, name)
}

function cell(value: number | undefined, show: (value: number) => string): string {
  return value === undefined ? '' : show(value)
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), `|${head.map((_, at) => (at === 0 ? '---' : '--:')).join('|')}|`, ...rows.map(line)].join('\n')
}

function capital(text: Load['title']): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

const method = `\`npm run bench\` repeats it; \`--help\` tells how to run a part, other rounds or another folder.

- Berth is started by \`npm start\` with its built-in settings on an empty folder: durable, with its own Postgres, its log
  of requests on. Only the data folder and the port are given. Its numbers are those of Berth and its Postgres together;
  npm itself, which only waits, is not counted.
- distribution and docker-registry run with the filesystem driver and the descriptor cache in memory, zot with its
  defaults; all without authentication and without a log of requests. distribution syncs what it stores to the disk; zot
  does not unless \`commit\` is set in its settings.
- All run on the loopback interface of one machine. They are up together, but only one is under load at a time. For large uploads,
  slow clients and memory each turn has a server that was just started on an empty folder.
- The clients are one process that speaks HTTP on bare sockets, with one buffer for each connection; "generator" is how much of
  one core it took (with skopeo: skopeo's part too). Bodies are made and hashed beforehand. Before anything is measured,
  each server has to give back, by hash, what was sent to it, and every answer's status is checked.
- "CPU" is user and system time of the whole tree of processes. PSS is the memory of the tree with shared pages counted
  once, RSS the sum of what each process shows; both at their peak, looked at four times a second.
- "GET" is a small request (\`GET /v2/\`) every 5 ms on a connection of its own while the load goes on, from a process of its own;
  in milliseconds.
- Lists of 100,000 entries were put in place past the API: into distribution's folders as files of its own layout, into
  Berth by SQL.`
