import { createHash, randomBytes } from 'node:crypto'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryOf } from './tree.ts'

/** Large blobs that are pushed and pulled at once, and the memory that this takes. */
export interface LargeBlobs {
  /** Bytes of each, in their order. */
  sizes: readonly number[]
  /** Pushes all of them at once, half in one request and half in three. @throws when one is not taken */
  push(base: string): Promise<void>
  /** Pulls all of them at once. @returns how many bytes each had */
  pull(base: string): Promise<number[]>
}

interface Large {
  path: string
  end: Buffer
  digest: string
}

const mebibyte = 2 ** 20
const piece = randomBytes(mebibyte)

/**
 * The bytes of all are the same but for the last few, so that one hash serves them all.
 * @param options.size about so many bytes each
 */
export function makeLargeBlobs({ count, size }: { count: number; size: number }): LargeBlobs {
  const pieces = Math.floor(size / mebibyte)
  const common = createHash('sha256')
  for (let at = 0; at < pieces; at++) common.update(piece)
  const all = Array.from({ length: count }, (_, at): Large => {
    const end = Buffer.from(`the end of number ${at}`)
    return {
      path: `/v2/large/number-${at}/blobs/`,
      end,
      digest: `sha256:${common.copy().update(end).digest('hex')}`,
    }
  })

  async function push(base: string, large: Large, at: number): Promise<void> {
    const start = `${base}${large.path}uploads/`
    const answers =
      at % 2 === 0
        ? [await send(`${start}?digest=${large.digest}`, 'POST', { pieces, end: large.end })]
        : await inThree(base, start, large)
    const last = answers.at(-1)
    if (last?.statusCode !== 201)
      throw new Error(`an upload was answered with ${answers.map(answer => answer.statusCode).join()}`)
  }

  async function inThree(base: string, start: string, { digest, end }: Large): Promise<IncomingMessage[]> {
    const begun = await send(start, 'POST')
    const sent = await send(new URL(String(begun.headers.location), base).href, 'PATCH', { pieces, end })
    const location = new URL(String(sent.headers.location), base)
    location.searchParams.set('digest', digest)
    return [begun, sent, await send(location.href, 'PUT')]
  }

  return {
    sizes: all.map(({ end }) => pieces * mebibyte + end.length),
    async push(base) {
      await Promise.all(all.map((large, at) => push(base, large, at)))
    },
    pull: base => Promise.all(all.map(({ path, digest }) => pull(`${base}${path}${digest}`))),
  }
}

/** Sends so many pieces and their end, as fast as they are taken. @returns status and headers of the answer */
function send(
  url: string,
  method: string,
  { pieces, end }: { pieces: number; end: Buffer } = { pieces: 0, end: Buffer.alloc(0) },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': pieces * mebibyte + end.length }
    const request = httpRequest(url, { method, headers, agent: false })
    request.once('error', reject)
    request.once('response', response => {
      response.resume()
      response.once('end', () => resolve(response))
    })
    let left = pieces
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

/** Reads a blob to its end. @returns how many bytes it had */
async function pull(url: string): Promise<number> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(url, { agent: false }, resolve).once('error', reject).end()
  })
  let bytes = 0
  for await (const chunk of response) bytes += Buffer.byteLength(chunk)
  return bytes
}

/** The most that a process and its descendants took while the work went on. */
export async function memoryDuring(pid: number, work: Promise<unknown>): Promise<{ pss: number; rss: number }> {
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
