import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { contentOf, type Image, image, imageType, index, indexType, layerType } from '../helpers/images.ts'
import { type Program, startProgram } from '../helpers/processes.ts'
import { type Client, createClient, percentile } from './client.ts'
import { envelopeFault } from './envelope.ts'
import { makeDataFolder } from './folders.ts'
import { hostileBytes } from './hostile-bytes.ts'
import { hostileManifests } from './hostile-manifests.ts'
import { type Hostile, hostilePaths, type Target } from './hostile-paths.ts'
import { exchange, type RawAnswer, type RawResult } from './raw.ts'
import { startSteadyReader } from './steady-reader.ts'
import { descriptorsOf, mebibytes, memoryOf } from './tree.ts'

const repository = 'good/app'
/** So many hostile requests are under way at once. */
const attackers = 16
const slowClients = 50

async function push(client: Client, to: string, tag: string, made: Image): Promise<void> {
  for (const { digest, bytes } of made.blobs) {
    const { status } = await client.send('POST', `/v2/${to}/blobs/uploads/?digest=${digest}`, { body: bytes })
    if (status !== 201) throw new Error(`a blob was answered with ${status}`)
  }
  await putManifest(client, `/v2/${to}/manifests/${tag}`, made.manifest.bytes, imageType)
}

async function putManifest(client: Client, path: string, body: Buffer, type: string): Promise<void> {
  const { status } = await client.send('PUT', path, { headers: { 'content-type': type }, body })
  if (status !== 201) throw new Error(`a manifest was answered with ${status}`)
}

async function beginUpload(client: Client): Promise<string> {
  const { headers } = await client.send('POST', `/v2/${repository}/blobs/uploads/`)
  return new URL(headers.location ?? '').pathname
}

/** What is wrong with the answers to a hostile request. */
function faultsOf({ what, methods, expect }: Hostile, { answers, over }: RawResult): string[] {
  const silent = answers.length < methods.length
  return [
    ...(over === 'timeout' ? [`${what}: no answer in time`] : []),
    ...(silent && over === 'closed' && expect !== 'silence'
      ? [`${what}: the connection was closed without an answer`]
      : []),
    ...answers.flatMap((answer, at) =>
      answerFaults(answer, methods[at] ?? 'GET', expect).map(fault => `${what}: ${fault}`),
    ),
  ]
}

function answerFaults({ status, headers, body }: RawAnswer, method: string, expect: Hostile['expect']): string[] {
  const wrote = status === 201 || status === 202 || (status === 204 && method === 'DELETE')
  const refused = status >= 400 && status < 500
  const envelope = status >= 400 && method !== 'HEAD' ? envelopeFault(status, headers, body) : undefined
  const urls = [headers.location, headers['link']].filter(url => url !== undefined)
  return [
    ...(status >= 500 ? [`answered with ${status}: ${body.toString().slice(0, 200)}`] : []),
    ...(envelope === undefined ? [] : [`answered with ${status}, but ${envelope}`]),
    ...((expect === 'refused' || expect === 'silence') && !refused ? [`let in with ${status}`] : []),
    ...(expect === 'harmless' && wrote && method !== 'POST' ? [`written with ${status}`] : []),
    ...urls
      .filter(
        url => !/^<?(?:https?:\/\/[\w.:[\]-]+)?\/v2\/[\w.~!$&'()*+,;=:@%/?-]*(?:>; rel="next")?$/.test(String(url)),
      )
      .map(url => `an odd URL: ${String(url).slice(0, 300)}`),
  ]
}

/** Sends each request on a connection of its own. @returns what was wrong, and how often each status came */
async function attack(port: number, requests: readonly Hostile[]) {
  const faults: string[] = []
  const statuses = new Map<string, number>()
  const queue = requests.values()
  async function work(): Promise<void> {
    for (const request of queue) {
      const result = await exchange(port, request)
      faults.push(...faultsOf(request, result))
      const seen = result.answers.length === 0 ? ['none'] : result.answers.map(answer => String(answer.status))
      for (const status of seen) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: attackers }, work))
  return { faults, statuses: Object.fromEntries([...statuses].toSorted(([a], [b]) => a.localeCompare(b))) }
}

/** Clients that send their headers, or their body, a byte at a time and never come to an end. */
function startSlowClients(t: Test, { port }: Program, upload: string) {
  let refused = 0
  const sockets = Array.from({ length: slowClients }, (_, at) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => refused++)
    socket.write(
      at % 2 === 0
        ? 'GET /v2/ HTTP/1.1\r\nX-Slow: '
        : `PATCH ${upload} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n`,
    )
    return socket
  })
  const timer = setInterval(() => sockets.forEach(socket => socket.write('x')), 100)
  const stop = () => {
    clearInterval(timer)
    for (const socket of sockets) socket.destroy()
    return refused
  }
  t.teardown(stop)
  return { stop }
}

t.setTimeout(240_000)

t.test('thousands of hostile requests do no harm', async t => {
  const program = await startProgram(t, { data: await makeDataFolder(t) })
  const client = createClient(program.url)
  t.teardown(() => client.close())
  const layer = contentOf(Buffer.alloc(5000, 'layer'), layerType)
  const good = image({ layers: [layer] })
  const other = image({ layers: [layer], architecture: 'arm64' })
  const both = index([good.manifest, other.manifest])
  await push(client, repository, 'latest', good)
  await push(client, repository, 'arm', other)
  await push(client, 'good/other', 'only', good)
  await putManifest(client, `/v2/${repository}/manifests/both`, both.bytes, indexType)
  const uploads = await Promise.all(Array.from({ length: 12 }, () => beginUpload(client)))

  const target: Target = {
    repository,
    blob: layer.digest,
    manifest: { bytes: good.manifest.bytes, digest: good.manifest.digest, type: imageType },
    uploads,
  }
  const requests = [
    ...hostilePaths(target),
    ...hostileBytes(target),
    ...hostileManifests({ repository, image: good, index: both }),
  ]
  t.comment(`${requests.length} hostile requests`)
  t.ok(requests.length >= 5700, 'some 5,700 of them')

  const descriptors = descriptorsOf(program.pid)
  const reader = startSteadyReader(t, {
    url: program.url,
    path: `/v2/${repository}/manifests/latest`,
    bytes: good.manifest.bytes,
    everyMs: 20,
  })
  const slow = startSlowClients(t, program, await beginUpload(client))
  const sizes: number[] = []
  // Twice: the first time brings the program to the size that it has under such a load.
  for (const time of ['first', 'second']) {
    const began = performance.now()
    const { faults, statuses } = await attack(program.port, requests)
    t.strictSame(faults.slice(0, 40), [], `no fault the ${time} time`)
    t.equal(faults.length, 0, 'in all')
    t.comment(`statuses: ${JSON.stringify(statuses)}, in ${((performance.now() - began) / 1000).toFixed(1)} s`)
    await sleep(1000)
    sizes.push(memoryOf(program.pid).pss)
  }
  const cutOff = slow.stop()
  const { took, failures } = await reader.stop()

  t.strictSame(failures.slice(0, 10), [], 'a healthy client beside them never fails')
  const [half, most, longest] = [0.5, 0.99, 1].map(share => percentile(took, share))
  t.comment(
    `${took.length} healthy reads: median ${half?.toFixed(1)} ms, p99 ${most?.toFixed(1)} ms, longest ${longest?.toFixed(1)} ms`,
  )
  t.ok((most ?? Infinity) < 500, 'nor does it wait')
  t.comment(`${cutOff} of ${slowClients} slow clients were cut off`)

  t.strictSame(await listOf(client, '/v2/_catalog', 'repositories'), ['good/app', 'good/other'])
  t.strictSame(await listOf(client, `/v2/${repository}/tags/list`, 'tags'), ['arm', 'both', 'latest'])
  t.strictSame(await listOf(client, '/v2/good/other/tags/list', 'tags'), ['only'])
  for (const { path, bytes } of [
    { path: `/v2/${repository}/manifests/latest`, bytes: good.manifest.bytes },
    { path: `/v2/${repository}/manifests/arm`, bytes: other.manifest.bytes },
    { path: `/v2/${repository}/manifests/both`, bytes: both.bytes },
    ...good.blobs.map(blob => ({ path: `/v2/${repository}/blobs/${blob.digest}`, bytes: blob.bytes })),
  ]) {
    t.ok((await client.send('GET', path)).body.equals(bytes), path)
  }

  client.close()
  await sleep(500)
  const [first = 0, second = Infinity] = sizes
  t.comment(`memory (PSS): ${mebibytes(first)} after the first time, ${mebibytes(second)} after the second`)
  t.ok(second < Math.max(first + 64 * 2 ** 20, 320 * 2 ** 20), 'memory is flat, or small anyway')
  t.comment(`descriptors: ${descriptors} before, ${descriptorsOf(program.pid)} after`)
  t.ok(descriptorsOf(program.pid) <= descriptors + 10, 'descriptors are given back')
  t.match(await program.stop(), { code: 0 })
  t.equal(program.stderr(), '')
})

async function listOf(client: Client, path: string, key: string): Promise<unknown> {
  const { body } = await client.send('GET', path)
  return Reflect.get(JSON.parse(body.toString()), key)
}
