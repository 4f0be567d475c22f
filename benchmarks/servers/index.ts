import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { attempt } from '../../conformance/process.ts'
import { cacheFolder, findProgram } from '../../conformance/programs.ts'
import { berth } from './berth.ts'
import { distribution } from './distribution.ts'
import { type Server, type ServerName, serverNames } from './server.ts'
import { zot } from './zot.ts'

const distributionModule = 'github.com/distribution/distribution/v3/cmd/registry@v3.1.2'

export type Command = readonly [string, ...string[]]

export interface SearchOptions {
  /** The commands of peers, by their names. */
  peers: ReadonlyMap<string, Command>
  /** Whether distribution 3 may be built where it is not there yet. */
  build: boolean
  /** Is told which peers are left out, and why. */
  note: (line: string) => void
}

/**
 * Berth and the peers that are here, or whose commands are given.
 * @throws Error for a peer that nobody knows how to start
 */
export async function findServers({ peers, build, note }: SearchOptions): Promise<readonly Server[]> {
  const known: readonly string[] = serverNames.slice(1)
  for (const name of peers.keys())
    if (!known.includes(name)) throw new Error(`no peer ${name}; there are ${known.join(', ')}`)
  const servers: Server[] = [berth]
  const go = peers.get('distribution') ?? (await builtDistribution(build, note))
  if (go !== undefined) servers.push(distribution('distribution', await titled('distribution', go), go))
  const zotCommand = peers.get('zot')
  if (zotCommand === undefined) note('zot is left out: --peer zot=COMMAND names its program')
  else servers.push(zot(zotCommand))
  const debian = peers.get('docker-registry') ?? onPath('docker-registry')
  if (debian === undefined) note('docker-registry is left out: it is not installed')
  else servers.push(distribution('docker-registry', await titled('docker-registry', debian), debian))
  return servers
}

function onPath(name: string): Command | undefined {
  const program = findProgram(name)
  return program === undefined ? undefined : [program]
}

async function titled(name: ServerName, [program, ...args]: Command): Promise<string> {
  const { output } = await attempt(program, [...args, '--version'])
  const version = /v?(\d+\.\d+\.\d+)/.exec(output)?.[1]
  return version === undefined ? name : `${name} ${version}`
}

/** distribution 3, built once where Go is there; that takes minutes. */
async function builtDistribution(build: boolean, note: (line: string) => void): Promise<Command | undefined> {
  const bin = join(cacheFolder, 'peers')
  const program = join(bin, 'registry')
  if (existsSync(program)) return [program]
  if (!build) {
    note('distribution is left out: the short form does not build it')
    return undefined
  }
  const go = findProgram('go')
  if (go === undefined) {
    note('distribution is left out: there is no Go to build it, nor --peer distribution=COMMAND')
    return undefined
  }
  note(`building ${distributionModule}`)
  const env = { GOBIN: bin, GOFLAGS: '-buildvcs=false -trimpath -ldflags=-s', CGO_ENABLED: '0' }
  const built = await attempt(go, ['install', distributionModule], { env, seconds: 900 })
  if (built.code === 0) return [program]
  note(`distribution is left out: it could not be built: ${built.output.trim().split('\n').slice(-3).join('\n')}`)
  return undefined
}
