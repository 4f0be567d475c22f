/**
 * Real clients against a registry, over plain http and over TLS with a private authority.
 *
 *     npm run conformance:clients [-- --only skopeo,podman] [--small] [--registry HOST:PORT [--ca FILE]] [--write-docs]
 *
 * Without --registry Berth is started twice, once for each way to speak; with it, only the way it speaks is tried.
 * --small leaves out Debian and the layer of 1 GiB. Clients that are not installed are skipped by name. Nothing stays
 * behind but, of a run with all that is large, results/clients.md.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { serve } from '../berth.ts'
import { makeCertificates } from '../certificates.ts'
import { findProgram, projectFolder, resultsFolder } from '../programs.ts'
import { type Counts, exitCodeOf, summaryLine } from '../summary.ts'
import { temporaryFolder } from '../temporary.ts'
import { outsideAddress } from './address.ts'
import { buildah } from './buildah.ts'
import { makeContent } from './content.ts'
import { crane } from './crane.ts'
import { ctr } from './ctr.ts'
import { docker } from './docker.ts'
import { helm } from './helm.ts'
import { oras } from './oras.ts'
import { podman } from './podman.ts'
import { page, type Row, tableOf } from './report.ts'
import { skopeo } from './skopeo.ts'
import { type Client, play } from './steps.ts'

const clients: readonly Client[] = [podman, skopeo, buildah, docker, ctr, helm, oras, crane]

interface Options {
  registry?: string
  ca?: string
  only?: string
  small: boolean
}

interface Registry {
  face: 'http' | 'TLS'
  host: string
  ca: string | undefined
  stop: () => Promise<unknown>
}

async function main(options: Options): Promise<{ rows: Row[]; counts: Counts }> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  const skip = (what: string, reason: string) => {
    counts.skipped++
    console.log(`skipped: ${what}: ${reason}`)
  }
  const present = chosen(options.only).filter(client => {
    const reason = hindrance(client)
    if (reason !== undefined) skip(client.name, reason)
    return reason === undefined
  })
  const rows: Row[] = []
  if (present.length === 0) return { rows, counts }
  for (const { name, version } of present) rows.push({ client: name, version: await version(), outcomes: {} })

  const folder = temporaryFolder('clients')
  const content = await makeContent(join(folder, 'content'), { large: !options.small })
  if (!options.small && 'missing' in content.debian) skip('clients with Debian', content.debian.missing)
  const prefix = `clients-${Date.now().toString(36)}`
  const opening = registries(options, folder)
  for (const [way, open] of opening.entries()) {
    const { face, host, ca, stop } = await open()
    try {
      for (const [place, client] of present.entries()) {
        // What is large takes most of the time: it goes one of the two ways, and skopeo takes it both ways.
        const large = !options.small && (opening.length === 1 || client === skopeo || place % 2 === way)
        const outcome = await play(client, { name: face, host, ca, content, large, prefix, folder: join(folder, face) })
        const row = rows.find(row => row.client === client.name)
        if (row !== undefined) row.outcomes[face] = outcome
        counts.passed += outcome.passed
        counts.failed += outcome.failed
      }
    } finally {
      await stop()
    }
  }
  return { rows, counts }
}

function chosen(only: string | undefined): Client[] {
  if (only === undefined) return [...clients]
  return only.split(',').map(name => {
    const client = clients.find(client => client.name === name)
    if (client === undefined) throw new Error(`no client ${name}; there are ${clients.map(one => one.name).join(', ')}`)
    return client
  })
}

/** Why a client can't be tried here, if so. */
function hindrance({ programs, root }: Client): string | undefined {
  const missing = programs.filter(program => findProgram(program) === undefined)
  if (missing.length > 0) return `needs ${missing.join(', ')}, which is not installed`
  return root && process.getuid?.() !== 0 ? 'needs root' : undefined
}

/** The registries to try, each opened in its turn. */
function registries({ registry, ca }: Options, folder: string): (() => Promise<Registry>)[] {
  if (registry !== undefined) {
    const face = ca === undefined ? 'http' : 'TLS'
    return [async () => ({ face, host: registry, ca, stop: async () => {} })]
  }
  return [
    async () => {
      const { host, stop } = await serve({ data: join(folder, 'berth-http') })
      return { face: 'http', host, ca: undefined, stop }
    },
    async () => {
      const address = await outsideAddress()
      const tls = await makeCertificates(join(folder, 'certificates'), [address])
      const { host, stop } = await serve({ data: join(folder, 'berth-tls'), address, tls })
      return { face: 'TLS', host, ca: tls.ca, stop }
    },
  ]
}

const { values } = parseArgs({
  options: {
    registry: { type: 'string' },
    ca: { type: 'string' },
    only: { type: 'string' },
    small: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
  },
})
const started = performance.now()
const { rows, counts } = await main(values)
if (!values.small) {
  await mkdir(resultsFolder, { recursive: true })
  await writeFile(join(resultsFolder, 'clients.md'), tableOf(rows))
}
if (values['write-docs']) {
  const nothingLeftOut = rows.length === clients.length && values.registry === undefined && !values.small
  const whole = nothingLeftOut && counts.failed + counts.skipped === 0
  if (whole) await writeFile(join(projectFolder, 'docs/clients.md'), page(rows))
  else console.log('docs/clients.md stays as it is: it is written of a whole run in which nothing failed')
}
console.log(`clients: ${rows.length} in ${Math.round((performance.now() - started) / 1000)} s`)
console.log(summaryLine(counts))
process.exit(exitCodeOf(counts))
