import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Content, image, imageType, randomBlob } from '../helpers/images.ts'
import { needs } from '../helpers/needs.ts'
import { startProgram } from '../helpers/processes.ts'
import { type Client, createClient } from './client.ts'
import { blobFaults, manifestFaults, tracedCalls } from './durable.ts'
import { makeDataFolder } from './folders.ts'
import { type Call, parseTrace } from './trace.ts'
import { treeOf } from './tree.ts'

/**
 * What is answered with 201 is on the disk before the answer: seen from outside, by the system calls of the program and
 * of its Postgres. Each sync is held up, so that an answer which does not wait for it comes before it; that of a folder
 * for longer than that of a file, which the log of the database is.
 */

const heldUp = ['-e', 'inject=fdatasync:delay_enter=5ms', '-e', 'inject=fsync:delay_enter=25ms']

t.setTimeout(120_000)

async function pushAtOnce(client: Client, repository: string, { digest, bytes }: Content): Promise<void> {
  await expect(201, client.send('POST', `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes }))
}

/** The whole sequence: POST, PATCH, PUT. */
async function pushInSteps(client: Client, repository: string, { digest, bytes }: Content): Promise<void> {
  const begun = await expect(202, client.send('POST', `/v2/${repository}/blobs/uploads/`))
  const sent = await expect(202, client.send('PATCH', begun.headers.location ?? '', { body: bytes }))
  const location = sent.headers.location ?? ''
  await expect(201, client.send('PUT', `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`))
}

/** Two PATCHes without a length, as docker sends them, and the rest with the PUT. */
async function pushInChunks(client: Client, repository: string, { digest, bytes }: Content): Promise<void> {
  let { headers } = await expect(202, client.send('POST', `/v2/${repository}/blobs/uploads/`))
  const third = Math.ceil(bytes.length / 3)
  const chunked = { 'transfer-encoding': 'chunked' }
  for (const first of [0, third]) {
    const body = bytes.subarray(first, first + third)
    ;({ headers } = await expect(202, client.send('PATCH', headers.location ?? '', { headers: chunked, body })))
  }
  const location = headers.location ?? ''
  const path = `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`
  await expect(201, client.send('PUT', path, { body: bytes.subarray(2 * third) }))
}

async function expect<A extends { status: number; body: Buffer }>(status: number, answer: Promise<A>): Promise<A> {
  const came = await answer
  if (came.status !== status) throw new Error(`${came.status} instead of ${status}: ${came.body.toString()}`)
  return came
}

interface Work {
  strace: string
  /** Whether the folders of blobs are there already; where they are not, much else comes before the name. */
  folders: boolean
  run: (client: Client) => Promise<void>
}

async function makeFolders(data: string): Promise<void> {
  const names = Array.from({ length: 256 }, (_, first) => first.toString(16).padStart(2, '0'))
  for (const name of names)
    for (const algorithm of ['sha256', 'sha512']) await mkdir(join(data, 'blobs', algorithm, name), { recursive: true })
}

/** Runs the program under strace while it is worked with. @returns all that was traced */
async function trace(t: Test, { strace, folders, run }: Work): Promise<Call[]> {
  const data = await makeDataFolder(t)
  // A cluster is made with a thousand syncs, of which none is of interest.
  await (await startProgram(t, { data })).stop()
  if (folders) await makeFolders(data)
  const file = join(data, 'trace')
  const options = ['-DD', '-f', '-y', '--seccomp-bpf', '-s', '400000', '-o', file, '-e', `trace=${tracedCalls}`]
  const program = await startProgram(t, { data, prefix: [strace, ...options, ...heldUp] })
  const tracer = Number(/^TracerPid:\s+(\d+)/m.exec(await readFile(`/proc/${program.pid}/status`, 'utf8'))?.[1])
  const client = createClient(program.url)
  t.teardown(() => client.close())
  await run(client)
  t.match(await program.stop(), { code: 0 })
  // It ends when the last of them has ended, and is nobody's child.
  while (treeOf(tracer).length > 0) await sleep(20)
  return parseTrace(await readFile(file, 'utf8'))
}

t.test('a push is answered when the file, its name and its row are on the disk', async t => {
  const strace = needs(t, 'strace')
  if (strace === undefined) return
  const pushes = [
    { push: pushAtOnce, blob: randomBlob(2000) },
    { push: pushInSteps, blob: randomBlob(2000) },
    { push: pushAtOnce, blob: randomBlob(300_000) },
    { push: pushInSteps, blob: randomBlob(1_500_000) },
    { push: pushInChunks, blob: randomBlob(7_000_000) },
    { push: pushAtOnce, blob: randomBlob(100, 'sha512') },
  ]
  const { blobs, manifest } = image()
  const run = async (client: Client) => {
    for (const { push, blob } of pushes) await push(client, 'durable/one', blob)
    for (const blob of blobs) await pushAtOnce(client, 'durable/one', blob)
    const headers = { 'content-type': imageType }
    await expect(201, client.send('PUT', '/v2/durable/one/manifests/tag', { headers, body: manifest.bytes }))
  }
  const calls = await trace(t, { strace, folders: true, run })
  for (const { push, blob } of pushes)
    t.same(blobFaults(calls, sizedOf(blob)), [], `${blob.bytes.length} bytes by ${push.name}`)
  t.same(manifestFaults(calls, manifest), [], 'the manifest')
})

t.test('each of many pushes at once is answered when it is on the disk itself', async t => {
  const strace = needs(t, 'strace')
  if (strace === undefined) return
  const kinds = [pushAtOnce, pushInSteps, pushInChunks]
  const pushes = Array.from({ length: 48 }, (_, index) => ({
    push: kinds[index % kinds.length] ?? pushAtOnce,
    blob: randomBlob([900, 40_000, 200_000, 1_200_000][index % 4]),
    repository: `durable/of-${index % 5}`,
  }))
  const run = async (client: Client) => {
    for (let first = 0; first < pushes.length; first += 16) {
      const together = pushes.slice(first, first + 16)
      await Promise.all(together.map(({ push, repository, blob }) => push(client, repository, blob)))
    }
  }
  const calls = await trace(t, { strace, folders: false, run })
  t.same(
    pushes.flatMap(({ blob }) => blobFaults(calls, sizedOf(blob))),
    [],
  )
})

function sizedOf({ digest, bytes }: Content) {
  return { digest, size: bytes.length }
}
