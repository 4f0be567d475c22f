/**
 * What it costs to ask who pulls: `node benchmarks/access.ts [--rounds N] [--seconds S]`.
 *
 * A Berth without accounts and one with them take turns on this machine, with the same images and 64 clients that ask for
 * manifests by HEAD: without credentials, with a token, with Basic. A ratio is the median of the ratios round by round, of
 * turns that came one after the other. The last line is `N passed, N failed`.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { freePort } from '../conformance/berth.ts'
import { exitCodeOf, summaryLine } from '../conformance/summary.ts'
import { openConnection, openConnections, type Target } from './generator/connection.ts'
import { kibibyte } from './generator/content.ts'
import { manifestType } from './generator/registry.ts'
import { repeat } from './generator/repeat.ts'
import { pushImages } from './loads/manifests.ts'
import { berth } from './servers/berth.ts'
import { median, ratioOf } from './statistics.ts'
import { cpuSecondsOf } from './tree.ts'

/** A user whose namespace is that of the images. */
const user = { username: 'bench', password: 'benchpass123' }
const basic = `Authorization: Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}\r\n`
const clients = 64

/** Speed with a token to that without; a machine that others use as well makes it less than exact. */
const goal = 0.85
const floor = 0.7

interface Asked {
  path: string
  /** With its `Authorization`, if it has one. */
  headers: string
}

interface Way {
  title: string
  target: Target
  pid: number
  requests: readonly Asked[]
  speeds: number[]
  cpu: number[]
}

async function start(folder: string, env: Record<string, string>) {
  await mkdir(folder, { mode: 0o755 })
  const port = await freePort()
  const target: Target = { name: 'Berth', host: '127.0.0.1', port }
  return { target, ...(await berth.start({ folder, port, env }, target)) }
}

async function initialize(target: Target): Promise<void> {
  const connection = await openConnection(target)
  const body = Buffer.from(JSON.stringify(user))
  const headers = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  await connection.expect('200', { method: 'POST', path: '/api/v1/user/initialize', headers, body: [body] })
  connection.close()
}

/** A token for a repository, as a client gets one for each. */
async function tokenFor(target: Target, repository: string): Promise<string> {
  const connection = await openConnection(target, { headers: basic })
  const path = `/v2/auth?service=berth&scope=repository:${repository}:pull`
  const { body } = await connection.expect('200', { method: 'GET', path, keep: true })
  connection.close()
  const { token } = JSON.parse(body.toString()) as { token: string }
  return `Authorization: Bearer ${token}\r\n`
}

/** One turn of a way, of so many seconds after a fifth of them that is not counted. */
async function takeTurn(way: Way, seconds: number): Promise<void> {
  const { target, pid, requests } = way
  const connections = await openConnections(target, clients, { buffer: 16 * kibibyte })
  const operation = async (connection: (typeof connections)[number], number: number) => {
    await connection.expect('200', { method: 'HEAD', ...(requests[number % requests.length] ?? { path: '/' }) })
    return 0
  }
  await repeat({ connections, seconds: seconds / 5, operation })
  const before = cpuSecondsOf(pid)
  const work = await repeat({ connections, seconds, operation })
  way.speeds.push(work.operations / work.seconds)
  way.cpu.push(((cpuSecondsOf(pid) - before) * 1000) / work.operations)
  for (const connection of connections) connection.close()
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '5' } },
})
const folder = await mkdtemp(join(tmpdir(), 'berth-access-'))
const stops: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })]
try {
  const open = await start(join(folder, 'open'), {})
  stops.push(open.stop)
  const settings = { REGISTRY_AUTH_ACCOUNTS_INITIALIZE: 'true', REGISTRY_AUTH_ACCOUNTS_TOKENLIFETIME: '1h' }
  const asking = await start(join(folder, 'asking'), settings)
  stops.push(asking.stop)
  await initialize(asking.target)

  const openImages = await pushImages(open.target)
  const images = await pushImages(asking.target, { headers: basic })
  const tokens = new Map<string, string>()
  for (const { repository } of images)
    tokens.set(repository, tokens.get(repository) ?? (await tokenFor(asking.target, repository)))
  const requests = (of: typeof images, authorize: (repository: string) => string) =>
    of.map(({ repository, tag }) => ({
      path: `/v2/${repository}/manifests/${tag}`,
      headers: `Accept: ${manifestType}\r\n${authorize(repository)}`,
    }))
  const none: Way = { title: 'without', ...open, requests: requests(openImages, () => ''), speeds: [], cpu: [] }
  const byToken: Way = {
    title: 'a token',
    ...asking,
    requests: requests(images, repository => tokens.get(repository) ?? ''),
    speeds: [],
    cpu: [],
  }
  const byBasic: Way = { title: 'Basic', ...asking, requests: requests(images, () => basic), speeds: [], cpu: [] }
  const ways: Way[] = [none, byToken, byBasic]
  for (let round = 0; round < Number(values.rounds); round++) {
    // Another one begins each round, so that none always comes after the same.
    for (const at of ways.keys()) await takeTurn(ways[(at + round) % ways.length] ?? none, Number(values.seconds))
  }
  console.log('manifest HEAD, 64 at once    op/s   to one without   CPU ms/op   to one without')
  for (const { title, speeds, cpu } of ways) {
    const cells = [
      median(speeds).toFixed(0).padStart(8),
      (ratioOf(speeds, none.speeds) ?? 0).toFixed(2).padStart(17),
      median(cpu).toFixed(3).padStart(12),
      (ratioOf(cpu, none.cpu) ?? 0).toFixed(2).padStart(17),
    ]
    console.log(`${title.padEnd(25)}${cells.join('')}`)
  }
  const ratio = ratioOf(byToken.speeds, none.speeds) ?? 0
  const held = ratio >= floor
  console.log(`with a token: ${ratio.toFixed(2)} of the speed without (goal ${goal}, floor ${floor})`)
  const counts = { passed: Number(held), failed: Number(!held), skipped: 0 }
  console.log(summaryLine(counts))
  process.exitCode = exitCodeOf(counts)
} finally {
  for (const stop of stops.toReversed()) await stop()
}
