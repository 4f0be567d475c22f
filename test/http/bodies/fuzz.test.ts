import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { BodyBroken, type Filled, piecesOf } from '../../../server/bytes/body.ts'
import { createRandom, type Random, seedOf } from '../../faults/random.ts'
import { until } from '../connection.ts'
import { type BodyServer, type Received, startBodyServer } from './body-server.ts'
import { manners, planConnection, type PlannedConnection, segmentsOf } from './fuzz-plan.ts'

const bodies = 100_000
const clients = 48

const seed = seedOf(t)
const source = { bytes: createRandom(seed).bytes(4 * 1024 * 1024) }
const counts = { direct: 0, ordinary: 0, whole: 0, broken: 0, left: 0 }
const wrong: string[] = []

/** Reads as its URL says, and compares each byte with that of the source. */
async function handle({ request, response, body, direct }: Received): Promise<void> {
  const [, manner, offset = '', length = ''] = (request.url ?? '').split('/')
  counts[direct ? 'direct' : 'ordinary']++
  if (!manners.some(known => known === manner)) wrong.push(`a request that was not sent: ${request.url}`)
  let at = Number(offset)
  const end = at + Number(length)
  const held: Filled[] = []
  const check = (filled: Filled) => {
    const pieces = piecesOf(filled)
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (bytes !== filled.length) wrong.push(`${bytes} bytes are said to be ${filled.length}: ${request.url}`)
    for (const piece of pieces) {
      if (!source.bytes.subarray(at, at + piece.length).equals(piece))
        wrong.push(`other bytes at ${at}: ${request.url}`)
      at += piece.length
    }
    if (at > end) wrong.push(`more bytes than were sent: ${request.url}`)
  }
  let outcome = 'left'
  try {
    if (manner === 'delayed') await sleep(1)
    for (let reading = manner !== 'refuse'; reading;) {
      const filled = await body.next()
      if (filled === undefined) {
        outcome = 'whole'
        break
      }
      check(filled)
      if (manner === 'slow') await turn()
      if (manner === 'late') held.push(filled)
      else filled.release()
      if (held.length > 5) for (const late of held.splice(0, 3)) late.release()
      reading = manner !== 'middle'
    }
    if (outcome === 'whole' && at !== end) wrong.push(`${at} instead of ${end} are the whole: ${request.url}`)
  } catch (error) {
    if (!(error instanceof BodyBroken)) wrong.push(`${String(error)}: ${request.url}`)
    outcome = 'broken'
  }
  for (const filled of held) filled.release()
  body.stop()
  if (!direct) request.resume()
  if (outcome === 'whole') counts.whole++
  else if (outcome === 'broken') counts.broken++
  else counts.left++
  const text = `${request.url} ${outcome}`
  response.writeHead(200, { 'content-length': text.length }).end(text)
}

/** The texts of the answers of a connection. */
function readAnswers(socket: Socket) {
  const texts: string[] = []
  let buffered = ''
  let wake: (() => void) | undefined
  socket.on('data', (chunk: Buffer) => {
    buffered += chunk.toString('latin1')
    for (;;) {
      const head = buffered.indexOf('\r\n\r\n')
      if (head < 0) break
      const end = head + 4 + Number(/content-length: (\d+)/i.exec(buffered.slice(0, head))?.[1])
      if (!(buffered.length >= end)) break
      texts.push(buffered.slice(head + 4, end))
      buffered = buffered.slice(end)
    }
    wake?.()
  })
  let closed = false
  socket.on('close', () => {
    closed = true
    wake?.()
  })
  return {
    texts,
    /** Resolves with whether there are so many; false when the connection was closed before. */
    async have(count: number): Promise<boolean> {
      const over = () => closed || texts.length >= count
      while (!over()) await new Promise<void>(resolve => (wake = resolve))
      return texts.length >= count
    },
  }
}

async function write(socket: Socket, random: Random, bytes: Buffer): Promise<void> {
  for (const segment of segmentsOf(random, bytes)) {
    if (!socket.write(segment)) await Promise.race([once(socket, 'drain'), once(socket, 'close')])
    if (random.chance(0.5)) await turn()
    if (random.chance(0.0001)) await sleep(1100)
  }
}

/** Plays one connection. What it sent whole has to be answered, unless the connection was cut. */
async function play(port: number, random: Random, plan: PlannedConnection): Promise<void> {
  const { requests, ending, sent } = plan
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  // The server may reset it when its end came in the middle.
  socket.on('error', () => {})
  await once(socket, 'connect')
  const answers = readAnswers(socket)
  const cut = ending === 'reset in the middle' || ending === 'FIN in the middle'
  const whole = cut ? requests.slice(0, -1) : requests
  if (plan.waits) {
    for (const [index, { wire }] of whole.entries()) {
      await write(socket, random, wire)
      if (index < whole.length - 1 && !(await answers.have(index + 1))) break
    }
  } else await write(socket, random, Buffer.concat(whole.map(({ wire }) => wire)))
  if (cut) await write(socket, random, requests.at(-1)?.wire.subarray(0, sent) ?? Buffer.alloc(0))
  if (ending === 'reset in the middle') socket.resetAndDestroy()
  else if (ending !== 'answers') socket.end()
  if (ending === 'reset in the middle') return
  const answered = await answers.have(whole.length)
  // To a client that has closed its side Node's own way owes no answers; those that come have to be right.
  if (!answered && ending === 'answers')
    wrong.push(`${answers.texts.length} answers for ${whole.length} requests, ending: ${ending}`)
  for (const [index, { manner, offset, length }] of whole.slice(0, answers.texts.length).entries()) {
    const text = answers.texts[index] ?? ''
    const outcome = manner === 'refuse' || manner === 'middle' ? '(left|whole)' : 'whole'
    if (!new RegExp(`^/${manner}/${offset}/${length} ${outcome}$`).test(text))
      wrong.push(`answer ${index} to /${manner}/${offset}/${length} is ${text}`)
  }
  if (ending === 'answers') socket.destroy()
  else if (!socket.closed) await once(socket, 'close', { signal: AbortSignal.timeout(20_000) })
}

async function playAll({ url }: BodyServer): Promise<void> {
  const port = Number(new URL(url).port)
  let left = bodies
  async function client(number: number): Promise<void> {
    const random = createRandom(seed + number)
    while (left > 0 && wrong.length === 0) {
      const plan = planConnection(random, source, left)
      left -= plan.requests.length
      await play(port, random, plan).catch((error: unknown) =>
        wrong.push(`${JSON.stringify(plan.ending)}: ${String(error)}`),
      )
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number + 1)))
}

t.setTimeout(120_000)

t.test(`${bodies} bodies, cut in any way, arrive byte for byte or break off with a prefix`, async t => {
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const errors: unknown[] = []
  const server = await startBodyServer(t, { handle, wants: ({ headers }) => headers['x-way'] === undefined, errors })
  const began = performance.now()
  await playAll(server)
  const seconds = (performance.now() - began) / 1000
  t.comment(`${JSON.stringify(counts)} in ${seconds.toFixed(1)} s`)
  t.strictSame(wrong.slice(0, 5), [])
  t.strictSame(errors, [])
  t.strictSame(warnings, [])
  await until(() => server.pool.out === 0)
  t.equal(server.pool.out, 0, 'every buffer came back')
  t.ok(counts.direct > bodies / 4 && counts.ordinary > 1000 && counts.broken > 100, 'all kinds were there')
})
