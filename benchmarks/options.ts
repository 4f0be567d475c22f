import { parseArgs } from 'node:util'
import { gibibyte, mebibyte } from './generator/content.ts'
import { findLoad, loads } from './loads/index.ts'
import type { Extent, Load } from './loads/load.ts'
import type { Command } from './servers/index.ts'

export interface Options {
  peers: ReadonlyMap<string, Command>
  loads: readonly Load[]
  rounds: number
  folder: string | undefined
  tls: boolean
  json: boolean
  quick: boolean
  report: boolean
  extent: Extent
  /** The same servers for all loads: starting them takes longer than a short load. */
  keepServers: boolean
}

const help = `npm run bench -- [options]

Measures Berth, started by npm start with its default settings, beside the registries that are installed here.

  --peer NAME=COMMAND  the program of a peer: distribution, zot or docker-registry; may be repeated.
                       Without it: distribution 3 is built by Go where Go is there, docker-registry is Debian's,
                       zot is left out
  --loads A,B          only these; without it all
  --rounds N           how often each load goes round (3)
  --folder DIR         where the data of all servers lies; without it /dev/shm for the loads that say so, where
                       12 GiB are free, and the folder for temporary files for the others
  --tls                everything over TLS
  --json               the results as JSON on standard output
  --quick              the short form for continuous integration: fails when a ratio is far below its floor, and
                       builds nothing
  --report             writes docs/performance.md and its chart from the loads that ran
  --help               this

Loads:
${loads.map(({ name, title }) => `  ${name.padEnd(20)} ${title}`).join('\n')}
`

const fullExtent: Extent = {
  large: gibibyte,
  download: 100 * mebibyte,
  downloads: 4,
  seconds: 5,
  warmSeconds: 1,
  slowClients: 1000,
  slowSeconds: 15,
  mixedSeconds: 600,
}

const quickExtent: Extent = {
  ...fullExtent,
  large: 128 * mebibyte,
  downloads: 2,
  seconds: 1,
  warmSeconds: 0.3,
}

const quickLoads = [
  'upload-4-chunked',
  'upload-1-chunked',
  'small-64k',
  'manifest-get-tag',
  'download',
  'range-64k',
  'range-4m',
]

/** Reads the command line; what is wrong with it, and `--help`, ends the process. */
export function readOptions(args: string[]): Options {
  try {
    return parse(args)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n--help tells the options\n`)
    return process.exit(2)
  }
}

function parse(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      peer: { type: 'string', multiple: true, default: [] },
      loads: { type: 'string' },
      rounds: { type: 'string' },
      folder: { type: 'string' },
      tls: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    process.exit(0)
  }
  const { folder, tls, json, quick, report } = values
  const rounds = Number(values.rounds ?? 3)
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds has to be a whole number from 1, not ${values.rounds}`)
  if (report && quick) throw new Error('--report tells what a full run measured: leave out --quick')
  return {
    peers: new Map(values.peer.map(readPeer)),
    loads: chosenLoads(values.loads, quick),
    rounds,
    folder,
    tls,
    json,
    quick,
    report,
    extent: quick ? quickExtent : fullExtent,
    keepServers: quick,
  }
}

function chosenLoads(names: string | undefined, quick: boolean): readonly Load[] {
  if (names !== undefined) return names.split(',').map(findLoad)
  return quick ? quickLoads.map(findLoad) : loads
}

function readPeer(text: string): [string, Command] {
  const [, name, command] = /^([\w-]+)=(.+)$/.exec(text) ?? []
  const [program, ...more] = command?.trim().split(/\s+/) ?? []
  if (name === undefined || program === undefined || program === '')
    throw new Error(`--peer has to be NAME=COMMAND, not ${text}`)
  return [name, [program, ...more]]
}
