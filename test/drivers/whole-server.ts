import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { attempt, run } from '../../conformance/process.ts'
import { projectFolder } from '../../conformance/programs.ts'
import { readSummary } from '../../conformance/summary.ts'
import { type Answer, createClient } from '../faults/client.ts'
import { makeDataFolder } from '../faults/folders.ts'
import { makeLargeBlobs, memoryDuring } from '../faults/large.ts'
import { mebibytes } from '../faults/tree.ts'
import { needs } from '../helpers/needs.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { type BerthProcess, startBerth, startProgram } from '../helpers/processes.ts'
import type { Crashed } from '../storage-drivers/faults/back-end.ts'
import { until } from '../storage-drivers/open-files.ts'

/** What an operator writes down for Berth, and the back end behind it. */
export interface Deployment {
  /** A configuration file; an empty one when left out. */
  config?: unknown
  env?: Record<string, string>
  /** Ends the server of the back end as a crash does. */
  crash: () => Promise<Crashed>
}

const mebibyte = 2 ** 20
const uploads = 8
/** Ceph keeps all of them in its memory here, of which it has 4 GiB. */
const size = 256 * mebibyte
const limit = 400 * mebibyte
const noRedirects = 'REGISTRY_STORAGE_REDIRECT_DISABLE'
/** What a client makes of a process that died with its upload: it asks again for so long. */
const takeOverMs = 60_000

/**
 * A whole Berth, started as a user starts it, on a back end that is no file system.
 * @param options.brief where only the way in differs from another back end that is tested whole
 * @param setUp prepares a place on the back end that is empty, and is gone with the test file
 */
export function testServer(
  name: string,
  setUp: () => Promise<Deployment>,
  { brief = false }: { brief?: boolean } = {},
): void {
  const test = (title: string, check: (t: Test, deployment: Deployment) => Promise<void>) =>
    void t.test(`${name}: ${title}`, async t => check(t, await setUp()))
  const testWhole: typeof test = brief ? () => {} : test
  t.setTimeout(900_000)

  test('the official conformance program passes in its strictest form', async (t, deployment) => {
    // What the store itself answers has no Docker-Content-Digest, which the program asks for behind a redirect too.
    await passes(t, 'conformance/oci.ts', [...(await argumentsOf(t, deployment)), '--env', `${noRedirects}=true`])
  })

  testWhole('real clients push and pull', async (t, deployment) => {
    const { host } = await startBerth(t, started(deployment))
    const some = ['--small', '--only', 'skopeo,oras,crane,podman']
    await passes(t, 'conformance/clients/index.ts', [...some, '--registry', host])
  })

  test('an upload that one process began is finished by another one', async (t, deployment) => {
    const [one, two] = await startTwo(t, deployment)
    const pieces = [21, 1, 9, 0.5].map(size => randomBytes(size * mebibyte))
    const bytes = Buffer.concat(pieces)
    let location = await begin(one)
    for (const [index, piece] of pieces.entries()) {
      const answer = await append(index % 2 === 0 ? two : one, location, piece)
      t.equal(answer.status, 202)
      location = locationOf(answer)
    }
    t.equal((await finish(two, location, bytes)).status, 201)
    for (const berth of [one, two]) t.ok((await pulled(berth, bytes)).equals(bytes))
  })

  testWhole(
    'an upload whose process is killed in the middle of a request goes on in another one',
    async (t, deployment) => {
      const [one, two] = await startTwo(t, deployment)
      const bytes = randomBytes(50 * mebibyte)
      const saved = 12 * mebibyte
      const answer = await append(one, await begin(one), bytes.subarray(0, saved))
      t.equal(answer.status, 202)
      const broken = client(one).send('PATCH', locationOf(answer), {
        body: bytes.subarray(saved),
        headers: { 'content-type': 'application/octet-stream' },
        halfway: () => one.kill('SIGKILL'),
      })
      await t.rejects(broken)

      const last = await until(
        () => goOn(two, locationOf(answer), bytes),
        ({ status }) => status === 202,
        takeOverMs,
      )
      t.equal(last.status, 202)
      t.equal((await finish(two, locationOf(last), bytes)).status, 201)
      t.ok((await pulled(two, bytes)).equals(bytes))
    },
  )

  testWhole('curl follows the redirect of a blob to the back end, for ranges too', async (t, deployment) => {
    const curl = needs(t, 'curl')
    if (curl === undefined) return
    const berth = await startBerth(t, started(deployment))
    const bytes = randomBytes(11 * mebibyte)
    t.equal((await finish(berth, await begin(berth), bytes, bytes)).status, 201)
    const url = `${berth.url}${blobPath(bytes)}`
    const file = join(t.testdir(), 'blob')
    const told = ['--write-out', '%{num_redirects} %{http_code} %{url_effective}']
    const fetched = async (...args: string[]) =>
      (await run(curl, ['--silent', '--show-error', '--location', '--output', file, ...told, ...args, url])).stdout

    const whole = await fetched()
    t.match(whole, /^1 200 /)
    t.notOk(whole.endsWith(url), 'the bytes came from elsewhere')
    t.ok((await readFile(file)).equals(bytes))
    t.match(await fetched('--range', '1000000-1000099'), /^1 206 /)
    t.ok((await readFile(file)).equals(bytes.subarray(1_000_000, 1_000_100)))
    t.match(await fetched('--head'), /^0 200 /, 'HEAD is answered by Berth')
  })

  testWhole(
    `${uploads} uploads of ${mebibytes(size)} at once, and as many pulls, stay small`,
    async (t, deployment) => {
      const data = await makeDataFolder(t)
      const large = makeLargeBlobs({ count: uploads, size })
      const program = await startProgram(t, {
        data,
        env: {
          ...deployment.env,
          REGISTRY_CONFIGURATION_PATH: await configFile(t, deployment),
          // Else the bytes do not come through Berth.
          [noRedirects]: 'true',
        },
      })
      for (const [what, work] of [
        ['uploads', () => large.push(program.url)],
        ['pulls', async () => t.strictSame(await large.pull(program.url), large.sizes)],
      ] as const) {
        const began = performance.now()
        const { pss, rss } = await memoryDuring(program.pid, work())
        const speed = (uploads * size) / mebibyte / ((performance.now() - began) / 1000)
        t.comment(`${what}: PSS ${mebibytes(pss)}, RSS ${mebibytes(rss)} at most; ${speed.toFixed(0)} MiB/s`)
        t.ok(pss < limit, `${what}: all processes together took ${mebibytes(pss)}, of at most ${mebibytes(limit)}`)
      }
    },
  )

  // The last: a RADOS Gateway that was killed makes no buckets for half a minute.
  testWhole('a push outlives a crash of the back end', async (t, deployment) => {
    const berth = await startBerth(t, started(deployment))
    const bytes = randomBytes(64 * mebibyte)
    const location = await begin(berth)
    let crashing: Promise<void> | undefined
    const halfway = () => {
      crashing = deployment.crash().then(async crashed => {
        await sleep(3000)
        await crashed.restart()
      })
    }
    const body = { body: bytes, headers: { 'content-type': 'application/octet-stream' }, halfway }
    const answer = await client(berth).send('PATCH', location, body)
    await crashing
    t.equal(answer.status, 202)
    t.equal((await finish(berth, locationOf(answer), bytes)).status, 201)
    t.ok((await pulled(berth, bytes)).equals(bytes))
  })
}

/** Runs a program of `conformance`. */
async function passes(t: Test, script: string, args: readonly string[]): Promise<void> {
  const { code, stdout, output } = await attempt(process.execPath, [script, ...args], {
    cwd: projectFolder,
    seconds: 600,
  })
  const counts = readSummary(stdout)
  const lines = output.trim().split('\n')
  for (const line of lines.filter(line => /^(?:not ok|skipped)|^ {2,}/.test(line))) t.comment(line)
  t.comment(lines.slice(-2).join('; '))
  t.equal(code, 0, 'nothing failed, and in continuous integration nothing was left out')
  if (counts !== undefined && counts.passed === 0 && counts.skipped > 0) t.pass('nothing could be run', { skip: true })
  else t.ok(counts !== undefined && counts.passed > 0, 'something passed')
}

async function argumentsOf(t: Test, deployment: Deployment): Promise<string[]> {
  const env = Object.entries(deployment.env ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  return ['--config', await configFile(t, deployment), ...env]
}

async function configFile(
  t: Test,
  { config = { version: '0.1', storage: 'filesystem' } }: Deployment,
): Promise<string> {
  const file = join(t.testdir(), 'config.yml')
  await writeFile(file, stringify(config))
  return file
}

/** What `startBerth` is told of a deployment. */
function started({ config, env = {} }: Deployment) {
  return { env, ...(config === undefined ? {} : { config }) }
}

/** Two processes on one database and one back end, as behind a balancer. */
async function startTwo(t: Test, deployment: Deployment): Promise<[BerthProcess, BerthProcess]> {
  const { env, ...rest } = started(deployment)
  const settings = { ...rest, env: { ...env, DB_URI: await createTestDatabase(t) } }
  return [await startBerth(t, settings), await startBerth(t, settings)]
}

const repository = '/v2/drivers/whole'

function client(berth: BerthProcess) {
  return createClient(berth.url, { connections: 1 })
}

/** @returns the path of the upload */
async function begin(berth: BerthProcess): Promise<string> {
  return locationOf(await client(berth).send('POST', `${repository}/blobs/uploads/`))
}

function append(berth: BerthProcess, location: string, body: Buffer): Promise<Answer> {
  return client(berth).send('PATCH', location, { body, headers: { 'content-type': 'application/octet-stream' } })
}

/** Asks how far an upload has come, and sends what is missing of the bytes. @returns the last answer */
async function goOn(berth: BerthProcess, location: string, bytes: Buffer): Promise<Answer> {
  const status = await client(berth).send('GET', location)
  if (status.status !== 204) return status
  const offset = Number(/^0-(\d+)$/.exec(String(status.headers.range))?.[1]) + 1
  return append(berth, locationOf(status), bytes.subarray(offset))
}

function finish(berth: BerthProcess, location: string, bytes: Buffer, body = Buffer.alloc(0)): Promise<Answer> {
  const at = new URL(location, berth.url)
  at.searchParams.set('digest', digestOf(bytes))
  return client(berth).send('PUT', at.pathname + at.search, { body })
}

/** The bytes of a blob, from wherever Berth sends its clients. */
async function pulled(berth: BerthProcess, bytes: Buffer): Promise<Buffer> {
  return Buffer.from(await (await fetch(`${berth.url}${blobPath(bytes)}`)).arrayBuffer())
}

function locationOf({ headers }: Answer): string {
  const at = new URL(String(headers.location), 'http://registry')
  return at.pathname + at.search
}

function blobPath(bytes: Buffer): string {
  return `${repository}/blobs/${digestOf(bytes)}`
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
