import { createHash, type Hash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startProgram } from '../helpers/processes.ts'
import { endPostgres, makeDataFolder } from './folders.ts'
import { mebibytes, memoryOf } from './tree.ts'

/**
 * Large uploads at once, and then large pulls, in the memory of a small machine. The bytes of all are the same but for
 * the last few, so that one hash serves them all.
 */

const long = process.env['BERTH_TEST_LONG'] !== undefined || process.env['CI'] === 'true'
const mebibyte = 2 ** 20
const uploads = 8
const size = (long ? 1024 : 128) * mebibyte
const limit = 300 * mebibyte

const piece = randomBytes(mebibyte)

interface Large {
  path: string
  end: Buffer
  digest: string
}

function makeLarge(): Large[] {
  const common = createHash('sha256')
  for (let at = 0; at < size / mebibyte; at++) common.update(piece)
  return Array.from({ length: uploads }, (_, at) => {
    const end = Buffer.from(`the end of number ${at}`)
    const digest = `sha256:${hexOf(common.copy(), end)}`
    return { path: `/v2/large/number-${at}/blobs/`, end, digest }
  })
}

function hexOf(hash: Hash, end: Buffer): string {
  return hash.update(end).digest('hex')
}

/** Sends the bytes of a blob, as fast as they are taken. @returns status and location of the answer */
function sendLarge(url: string, method: string, { end }: Large): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers: { 'content-length': size + end.length }, agent: false })
    request.once('error', reject)
    request.once('response', response => {
      response.resume()
      response.once('end', () => resolve(response))
    })
    let left = size / mebibyte
    const go = () => {
      while (left > 0) {
        left--
        if (!request.write(piece)) {
          request.once('drain', go)
          return
        }
      }
      request.end(end)
    }
    go()
  })
}

function send(url: string, method: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers: { 'content-length': 0 }, agent: false })
    request.once('error', reject)
    request.once('response', response => {
      response.resume()
      response.once('end', () => resolve(response))
    })
    request.end()
  })
}

/** Half of them in one request, half in three. */
async function push(base: string, large: Large, at: number): Promise<void> {
  const start = `${base}${large.path}uploads/`
  const answers =
    at % 2 === 0
      ? [await sendLarge(`${start}?digest=${large.digest}`, 'POST', large)]
      : await inThree(base, start, large)
  const last = answers.at(-1)
  if (last?.statusCode !== 201)
    throw new Error(`an upload was answered with ${answers.map(answer => answer.statusCode).join()}`)
}

async function inThree(base: string, start: string, large: Large): Promise<IncomingMessage[]> {
  const begun = await send(start, 'POST')
  const sent = await sendLarge(new URL(String(begun.headers.location), base).href, 'PATCH', large)
  const location = new URL(String(sent.headers.location), base)
  location.searchParams.set('digest', large.digest)
  return [begun, sent, await send(location.href, 'PUT')]
}

/** Reads a blob to its end. @returns how many bytes it had */
async function pull(base: string, { path, digest }: Large): Promise<number> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(`${base}${path}${digest}`, { agent: false }, resolve).once('error', reject).end()
  })
  let bytes = 0
  for await (const chunk of response) bytes += Buffer.byteLength(chunk)
  return bytes
}

/** The most that the processes took while the work went on. */
async function measured(pid: number, work: Promise<unknown>): Promise<{ pss: number; rss: number }> {
  const most = { pss: 0, rss: 0 }
  const over = new AbortController()
  const ends = work.finally(() => over.abort())
  const looks = (async () => {
    for (; !over.signal.aborted; await sleep(100)) {
      const now = memoryOf(pid)
      most.pss = Math.max(most.pss, now.pss)
      most.rss = Math.max(most.rss, now.rss)
    }
  })()
  await Promise.all([ends, looks])
  return most
}

t.setTimeout(long ? 600_000 : 120_000)

t.test(`${uploads} uploads of ${mebibytes(size)} at once, and as many pulls, stay small`, async t => {
  const data = long ? await mkdtemp(join(tmpdir(), 'berth-memory-')) : await makeDataFolder(t)
  t.teardown(async () => {
    await endPostgres(data)
    await rm(data, { recursive: true, force: true })
  })
  const all = makeLarge()
  const program = await startProgram(t, { data })
  const began = performance.now()
  const up = await measured(program.pid, Promise.all(all.map((large, at) => push(program.url, large, at))))
  const seconds = (performance.now() - began) / 1000
  t.comment(
    `uploads: PSS ${mebibytes(up.pss)}, RSS ${mebibytes(up.rss)} at most; ${seconds.toFixed(1)} s, ${((uploads * size) / mebibyte / seconds).toFixed(0)} MiB/s`,
  )
  t.ok(up.pss < limit, `all processes together took less than ${mebibytes(limit)}`)

  const lengths = Promise.all(all.map(large => pull(program.url, large)))
  const down = await measured(program.pid, lengths)
  t.strictSame(
    await lengths,
    all.map(({ end }) => size + end.length),
  )
  t.comment(`pulls: PSS ${mebibytes(down.pss)}, RSS ${mebibytes(down.rss)} at most`)
  t.ok(down.pss < limit, 'for pulls too')
})
