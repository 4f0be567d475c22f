import { createHash } from 'node:crypto'
import { open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Content, contentOf, image, type Image, imageType, layerType } from '../helpers/images.ts'
import { type Program, startProgram } from '../helpers/processes.ts'
import { mountTmpfs } from '../storage-drivers/tmpfs.ts'
import { type Answer, type Client, createClient } from './client.ts'
import { codeIn, envelopeFault } from './envelope.ts'
import { endPostgres } from './folders.ts'
import { createRandom, type Random, seedOf } from './random.ts'
import { mebibytes } from './tree.ts'

/** Everything on one small disk: blobs, and the Postgres that Berth brings along. */

const mebibyte = 2 ** 20
const base = '/v2/full/disk'

interface Disk {
  data: string
  program: Program
  client: Client
  random: Random
  /** What was acknowledged: manifests by path, blobs by path. */
  kept: Map<string, Buffer>
}

async function startOnSmallDisk(t: Test): Promise<Disk | undefined> {
  const data = await mountTmpfs(t, 'size=200m')
  if (data === undefined) return undefined
  t.teardown(() => endPostgres(data))
  const random = createRandom(seedOf(t))
  const program = await startProgram(t, { data })
  const client = createClient(program.url)
  t.teardown(() => client.close())
  return { data, program, client, random, kept: new Map() }
}

async function room(data: string): Promise<number> {
  const { bavail, bsize } = await statfs(data)
  return bavail * bsize
}

/** Sends, and checks that a refusal has the envelope. */
async function send(t: Test, client: Client, ...[method, path, sent]: Parameters<Client['send']>): Promise<Answer> {
  const answer = await client.send(method, path, sent)
  if (answer.status >= 400) {
    const fault = envelopeFault(answer.status, answer.headers, answer.body)
    if (fault !== undefined) t.fail(`${method} ${path}: ${answer.status}, and ${fault}`)
  }
  return answer
}

async function pushBlob(t: Test, { client, kept }: Disk, { digest, bytes }: Content): Promise<number> {
  const { status } = await send(t, client, 'POST', `${base}/blobs/uploads/?digest=${digest}`, { body: bytes })
  if (status === 201) kept.set(`${base}/blobs/${digest}`, bytes)
  return status
}

async function putManifest(t: Test, { client, kept }: Disk, { manifest }: Image, tag: string): Promise<Answer> {
  const path = `${base}/manifests/${tag}`
  const headers = { 'content-type': imageType }
  const answer = await send(t, client, 'PUT', path, { headers, body: manifest.bytes })
  if (answer.status === 201) {
    kept.set(path, manifest.bytes)
    kept.set(`${base}/manifests/${manifest.digest}`, manifest.bytes)
  }
  return answer
}

/** A small image of a few blobs that are there, which differs from all others. */
function another(random: Random, first: Image): Image {
  const pad = random.bytes(1500).toString('hex')
  return image({ layers: first.layers, annotations: { pad } })
}

async function checkKept(t: Test, { client, kept }: Disk): Promise<void> {
  const lost: string[] = []
  for (const [path, bytes] of kept) {
    const { status, body } = await client.send('GET', path)
    if (status !== 200 || !body.equals(bytes)) lost.push(`${path}: ${status}`)
  }
  t.strictSame(lost.slice(0, 10), [], `all of ${kept.size} things that were acknowledged are there`)
}

interface Filling {
  location: string
  bytes: Buffer[]
  refused: Answer
}

/** Sends piece after piece until the registry takes no more. */
async function fill(t: Test, { client, random }: Disk): Promise<Filling> {
  const begun = await send(t, client, 'POST', `${base}/blobs/uploads/`)
  const location = String(begun.headers.location)
  const bytes: Buffer[] = []
  for (;;) {
    const piece = random.bytes(3 * mebibyte)
    const answer = await send(t, client, 'PATCH', location, { body: piece })
    if (answer.status !== 202) return { location, bytes, refused: answer }
    bytes.push(piece)
  }
}

t.test('uploads that fill the disk are refused, and all else goes on', async t => {
  const disk = await startOnSmallDisk(t)
  if (disk === undefined) return
  const { data, client, random } = disk
  t.comment(`${mebibytes(await room(data))} free at the start`)
  const first = image({ layers: [contentOf(random.bytes(100_000), layerType)] })
  for (const blob of first.blobs) t.equal(await pushBlob(t, disk, blob), 201)
  t.equal((await putManifest(t, disk, first, 'first')).status, 201)

  const fillings = await Promise.all(Array.from({ length: 4 }, () => fill(t, disk)))
  t.comment(`${mebibytes(await room(data))} free when it is full`)
  for (const { location, bytes, refused } of fillings) {
    t.match(
      { status: refused.status, code: codeIn(refused.body.toString()) },
      { status: 507, code: 'INSUFFICIENT_STORAGE' },
    )
    const { headers } = await client.send('GET', location)
    const total = bytes.reduce((sum, piece) => sum + piece.length, 0)
    t.equal(headers.range, `0-${Math.max(total - 1, 0)}`, 'what was acknowledged counts, and nothing else does')
  }
  t.equal(await pushBlob(t, disk, contentOf(random.bytes(30 * mebibyte), layerType)), 507, 'nor by one request')

  let moved = 0
  for (let turn = 0; turn < 300; turn++) {
    const { status, body } = await putManifest(t, disk, another(random, first), `t${turn % 50}`)
    if (status !== 201) t.fail(`a small manifest: ${status} ${body.toString().slice(0, 200)}`)
    else moved++
  }
  t.comment(`${moved} manifests beside it, ${mebibytes(await room(data))} free`)
  t.equal((await send(t, client, 'DELETE', `${base}/manifests/t49`)).status, 202)
  disk.kept.delete(`${base}/manifests/t49`)
  t.equal((await client.send('GET', '/readyz')).status, 200)
  await checkKept(t, disk)

  const before = await room(data)
  const [whole, ...rest] = fillings.toSorted((a, b) => b.bytes.length - a.bytes.length)
  if (whole === undefined) throw new Error('there was no upload')
  for (const { location } of rest) t.equal((await send(t, client, 'DELETE', location)).status, 204)
  const given = (await room(data)) - before
  const cancelled = rest.flatMap(({ bytes }) => bytes).reduce((sum, piece) => sum + piece.length, 0)
  t.comment(`${mebibytes(given)} given back for ${mebibytes(cancelled)}`)
  t.ok(given > cancelled - mebibyte, 'the room is given back')

  const bytes = Buffer.concat(whole.bytes)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  t.equal(
    (await send(t, client, 'PUT', `${whole.location}?digest=${digest}`)).status,
    201,
    'the upload that was refused can be ended',
  )
  disk.kept.set(`${base}/blobs/${digest}`, bytes)
  t.equal(await pushBlob(t, disk, contentOf(random.bytes(10 * mebibyte), layerType)), 201, 'and others come in again')

  client.close()
  t.match(await disk.program.stop(), { code: 0 })
  const again = await startProgram(t, { data, port: disk.program.port })
  await checkKept(t, disk)
  t.equal(again.stderr(), '')
})

t.test('a disk that somebody else has filled to the last byte loses nothing, and comes back', async t => {
  const disk = await startOnSmallDisk(t)
  if (disk === undefined) return
  const { data, client, random, program } = disk
  const first = image({ layers: [contentOf(random.bytes(100_000), layerType)] })
  for (const blob of first.blobs) t.equal(await pushBlob(t, disk, blob), 201)
  t.equal((await putManifest(t, disk, first, 'first')).status, 201)

  const others = join(data, 'of-others')
  await fillWith(others)
  t.equal(await room(data), 0)
  const statuses = new Map<number, number>()
  const count = (status: number) => statuses.set(status, (statuses.get(status) ?? 0) + 1)
  const over = performance.now() + 4_000
  const push = async (name: string) => {
    for (let turn = 0; performance.now() < over; turn++) {
      const { status } = await putManifest(t, disk, another(random, first), `${name}-${turn}`)
      count(status)
      if (status !== 201) await sleep(50)
    }
  }
  await Promise.all(['a', 'b', 'c', 'd'].map(push))
  count(await pushBlob(t, disk, contentOf(random.bytes(mebibyte), layerType)))
  t.comment(`answers on the full disk: ${JSON.stringify(Object.fromEntries(statuses))}`)
  t.strictSame(
    [...statuses.keys()].filter(status => ![201, 503, 507].includes(status)),
    [],
  )
  t.ok((statuses.get(503) ?? 0) + (statuses.get(507) ?? 0) > 0, 'it did run out of room')

  await rm(others)
  const began = performance.now()
  await Promise.race([untilTaken(t, disk, first), failWhenOver(program)])
  t.comment(`pushes work again ${Math.round(performance.now() - began)} ms after there is room`)
  await checkKept(t, disk)
  t.equal((await client.send('GET', '/readyz')).status, 200)
})

async function untilTaken(t: Test, disk: Disk, first: Image): Promise<void> {
  const until = performance.now() + 20_000
  for (;;) {
    const { status } = await putManifest(t, disk, another(disk.random, first), 'late')
    if (status === 201) return
    if (performance.now() > until) throw new Error(`a push is still answered with ${status}`)
    await sleep(50)
  }
}

async function failWhenOver(program: Program): Promise<never> {
  const { code, signal } = await program.exited
  throw new Error(`Berth ended with ${code ?? signal}: ${program.stderr()}`)
}

/** Writes until the disk takes nothing more. */
async function fillWith(path: string): Promise<void> {
  const handle = await open(path, 'w')
  try {
    for (const size of [mebibyte, 4096, 1]) {
      for (;;) {
        const { bytesWritten } = await handle.write(Buffer.alloc(size, 'x')).catch(() => ({ bytesWritten: 0 }))
        if (bytesWritten < size) break
      }
    }
  } finally {
    await handle.close()
  }
}
