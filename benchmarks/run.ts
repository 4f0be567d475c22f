/**
 * Berth beside its peers: `npm run bench`. `--help` tells the options.
 *
 * Every server runs on this machine and on the same file system; for each load and round they take turns, and only one
 * of them is under load at a time. What is told is the median over the rounds, and a ratio is the median of the ratios
 * round by round.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificates } from '../conformance/certificates.ts'
import { findProgram, projectFolder, resultsFolder } from '../conformance/programs.ts'
import { summaryLine } from '../conformance/summary.ts'
import { describeEnvironment } from './environment.ts'
import { createFleet, type Fleet, type Member } from './fleet.ts'
import { type Generator, startGenerator } from './generator/generator.ts'
import type { Extent, Load } from './loads/load.ts'
import { type Options, readOptions } from './options.ts'
import { choosePlaces } from './place.ts'
import { pageOf, pictureOf, type RunResult } from './report.ts'
import type { LoadResult } from './results.ts'
import { judgeQuickly } from './quick.ts'
import { findServers } from './servers/index.ts'
import type { Server } from './servers/server.ts'
import { describeSample, textOf } from './text.ts'
import { takeTurn } from './turn.ts'

const say = (line: string) => process.stderr.write(`${line}\n`)
const print = (text: string) => process.stdout.write(`${text}\n`)

interface Equipment {
  fleet: Fleet
  generator: Generator
  probe: Generator
  extent: Extent
  /** A folder for the generator's own files. */
  scratch: string
  /** Counts turns. */
  number: () => number
}

async function main(options: Options): Promise<RunResult> {
  const servers = await findServers({ peers: options.peers, build: !options.quick, note: say })
  const places = await choosePlaces(options.folder)
  const tls = options.tls ? await makeCertificates(join(places.disk.folder, 'certificates'), ['127.0.0.1']) : undefined
  using generator = startGenerator()
  using probe = startGenerator()
  const fleet = createFleet({
    ...(tls === undefined ? {} : { tls }),
    onStart: member =>
      explained(member, async () => void (await generator.ask({ kind: 'verify', target: member.target }))),
  })
  let turns = 0
  const scratch = join(places.disk.folder, 'generator')
  await mkdir(scratch)
  const equipment = { fleet, generator, probe, scratch, extent: options.extent, number: () => ++turns }
  const results: LoadResult[] = []
  const environment = await describeEnvironment(options, places)
  const run: RunResult = { environment, servers: servers.map(({ name, title }) => ({ name, title })), results }
  try {
    for (const load of options.loads) {
      const missing = (load.programs ?? []).filter(program => findProgram(program) === undefined)
      if (missing.length > 0) {
        say(`${load.name} is left out: it needs ${missing.join(', ')}`)
        continue
      }
      const result = await runLoad(load, servers, places[load.place].folder, options.rounds, equipment)
      results.push(result)
      await keep(options.quick ? 'benchmark-quick.json' : 'benchmark.json', JSON.stringify(run, undefined, 2))
      if (!options.json && !options.quick) print(textOf(result, servers))
      if (!options.keepServers) await fleet.dropAll()
    }
  } finally {
    await fleet.dropAll()
  }
  return run
}

/** What a long run has measured is there even when it breaks off. */
async function keep(name: string, text: string): Promise<void> {
  await mkdir(resultsFolder, { recursive: true })
  await writeFile(join(resultsFolder, name), text)
}

async function runLoad(
  load: Load,
  servers: readonly Server[],
  folder: string,
  rounds: number,
  { fleet, generator, probe, scratch, extent, number }: Equipment,
): Promise<LoadResult> {
  const result: LoadResult = { load, samples: {} }
  const [berth] = servers
  const taking = load.alone === true && berth !== undefined ? [berth] : servers
  const readyFor = async ({ fill }: Load, server: Server) => {
    // Its lists hold nothing else.
    if (fill !== undefined) await fleet.drop(server)
    const member = await fleet.get(server, folder)
    if (fill === undefined) return
    await explained(member, async () => {
      await generator.ask({ kind: 'first entry', target: member.target })
      await member.fill(fill.kind, fill.entries)
    })
  }
  // What shares the machine comes up before the first turn.
  if (load.fresh !== true) for (const server of taking) await readyFor(load, server)
  const last = load.alone === true ? 1 : rounds
  for (let round = 1; round <= last; round++) {
    // Another one begins each round, so that none always comes after the same.
    const first = (round - 1) % taking.length
    for (const server of [...taking.slice(first), ...taking.slice(0, first)]) {
      const member = await fleet.get(server, folder)
      const sample = await explained(member, () =>
        takeTurn({ load, member, generator, probe, scratch, extent, number: number() }),
      )
      if (load.fresh === true) await fleet.drop(server)
      const told = sample === undefined ? 'is not offered' : describeSample(load, sample)
      say(`${load.name} ${round}/${last} ${server.name}: ${told}`)
      if (sample !== undefined) (result.samples[server.name] ??= []).push(sample)
    }
  }
  return result
}

/** Work on a server whose failure tells what the server said last. */
async function explained<Result>({ lastWords }: Member, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw new Error(`${reasonOf(error)}\nThe server said last:\n${lastWords()}`, { cause: error })
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const options = readOptions(process.argv.slice(2))
try {
  const run = await main(options)
  if (options.json) print(JSON.stringify(run, undefined, 2))
  if (options.report) {
    await writeFile(join(projectFolder, 'docs/performance.md'), pageOf(run, 'performance.svg'))
    await writeFile(join(projectFolder, 'docs/performance.svg'), pictureOf(run))
  }
  process.exit(options.quick ? judgeQuickly(run, print) : 0)
} catch (error) {
  say(`the benchmark broke off: ${reasonOf(error)}`)
  if (options.quick) print(summaryLine({ passed: 0, failed: 1, skipped: 0 }))
  process.exit(1)
}
