import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { createRequestReader, type RequestPiece } from './request-reader.ts'

/** `up` is to the server: requests; `down` is from it: answers. */
export type Direction = 'up' | 'down'

/**
 * The road to a server, which can be made bad. It forwards TCP as it is, and knows of HTTP/1.1 just enough to tell one
 * request from the next. What is asked of it holds for all connections, those that are open and those to come.
 */
export interface BadNetwork {
  /** `http://127.0.0.1:PORT`, where the server seems to be. */
  readonly url: string
  readonly port: number
  /** Connections that clients have open at the moment. */
  readonly open: number
  /** Bytes that went through so far. */
  readonly passed: Readonly<Record<Direction, number>>
  /** Resolves when so many more bytes have gone through. */
  whenPassed(direction: Direction, bytes: number): Promise<void>

  /** Lets so many more bytes through and cuts the connection of the last one there. May be asked for several times. */
  cutAfter(direction: Direction, bytes: number): void
  /** Cuts all connections, and refuses new ones until `mend`. */
  refuse(): Promise<void>
  /** Lets nothing through until `thaw`, and says nothing of it: nothing is lost. */
  freeze(): void
  thaw(): void
  /** Bytes per second that all connections have together. */
  throttle(direction: Direction, bytesPerSecond: number): void
  /** Each request waits so many milliseconds before it goes to the server. */
  delay(milliseconds: number): void
  /** Answers requests itself; the server does not see them. The first rule that fits one holds for it. */
  answer(answer: CannedAnswer): Rule
  /** Forwards requests, and cuts the connection when the first byte of the answer comes. */
  loseAnswers(which: Which): Rule
  /** Takes all of that back. */
  mend(): Promise<void>
}

export interface Which {
  /** Fits the heads of the requests that are meant, `METHOD /path?query HTTP/1.1` and the headers. */
  when: RegExp
  /** How many requests; all when left out. */
  times?: number
}

export interface CannedAnswer extends Which {
  status: number
  headers?: Record<string, string>
  body?: string
  /** Without it the answer comes as soon as the request's head is there, and the connection ends. True when left out. */
  readBody?: boolean
}

export interface Rule {
  /** How many requests it has met. */
  readonly met: number
}

interface ActiveRule extends Which {
  met: number
  answer?: CannedAnswer
}

interface Connection {
  client: Socket
  server: Socket
  /** What becomes of the request that is coming in. */
  rule: ActiveRule | undefined
  /** The next answer is not to get through. */
  losing: boolean
}

/** How long a client that is answered early may take to see that its connection ends. */
const lingerMs = 1000

/**
 * A network of this test's own, which ends with it.
 * @param target the server's URL; its path is of no interest
 */
export async function startBadNetwork(t: Test, target: string): Promise<BadNetwork> {
  const { hostname, port: targetPort } = new URL(target)
  const connections = new Set<Connection>()
  const passed = { up: 0, down: 0 }
  let waiting: { direction: Direction; at: number; resolve: () => void }[] = []
  let cuts: { direction: Direction; at: number }[] = []
  let rules: ActiveRule[] = []
  let rates: Partial<Record<Direction, number>> = {}
  const freeAt = { up: 0, down: 0 }
  let delayMs = 0
  let frozen: PromiseWithResolvers<void> | undefined
  let server: Server | undefined

  function cut({ client, server }: Connection, direction: Direction): void {
    // A client that is sending meets a reset, as when the server's machine went away. One that is reading sees its
    // connection end in order, which looks most like the end of an answer.
    if (direction === 'up') client.resetAndDestroy()
    else client.destroy()
    server.destroy()
  }

  function thaw(): void {
    frozen?.resolve()
    frozen = undefined
  }

  async function pace(direction: Direction, bytes: number): Promise<void> {
    const rate = rates[direction]
    if (rate === undefined) return
    const now = performance.now()
    freeAt[direction] = Math.max(now, freeAt[direction]) + (bytes / rate) * 1000
    await sleep(freeAt[direction] - now)
  }

  /** Lets bytes through, or those before a cut. */
  async function forward(connection: Connection, direction: Direction, bytes: Buffer): Promise<void> {
    await pace(direction, bytes.length)
    await frozen?.promise
    if (connection.client.destroyed) return
    const next = cuts.find(cut => cut.direction === direction && cut.at <= passed[direction] + bytes.length)
    if (next !== undefined) cuts = cuts.filter(cut => cut !== next)
    const part = next === undefined ? bytes : bytes.subarray(0, Math.max(0, next.at - passed[direction]))
    passed[direction] += part.length
    const due = waiting.filter(one => one.at <= passed[one.direction])
    waiting = waiting.filter(one => !due.includes(one))
    for (const { resolve } of due) resolve()
    await write(direction === 'up' ? connection.server : connection.client, part)
    if (next !== undefined) cut(connection, direction)
  }

  async function pumpDown(connection: Connection): Promise<void> {
    for await (const chunk of connection.server as AsyncIterable<Buffer>) {
      if (connection.losing && !isContinue(chunk)) return cut(connection, 'down')
      await forward(connection, 'down', chunk)
    }
    connection.client.end()
  }

  async function pumpUp(connection: Connection): Promise<void> {
    const piecesOf = createRequestReader()
    for await (const chunk of connection.client as AsyncIterable<Buffer>) {
      for (const piece of piecesOf(chunk)) await passRequest(connection, piece)
    }
  }

  async function passRequest(connection: Connection, piece: RequestPiece): Promise<void> {
    const { head, bytes, last } = piece
    if (head !== undefined) {
      connection.rule = rules.find(rule => rule.met < (rule.times ?? Infinity) && rule.when.test(head))
      if (connection.rule !== undefined) connection.rule.met++
      if (delayMs > 0) await sleep(delayMs)
    }
    const answer = connection.rule?.answer
    if (answer !== undefined) {
      if (head !== undefined || last) await giveAnswer(connection.client, answer, piece)
      return
    }
    if (last && connection.rule !== undefined) connection.losing = true
    await forward(connection, 'up', bytes)
  }

  async function giveAnswer(client: Socket, answer: CannedAnswer, { head, last }: RequestPiece): Promise<void> {
    await frozen?.promise
    if (answer.readBody === false) {
      client.end(answerBytes(answer, 'close'))
      // For a client that does not look at its answer before it has sent everything.
      await Promise.race([once(client, 'close').catch(() => {}), sleep(lingerMs)])
      client.destroy()
    } else if (last) {
      await write(client, answerBytes(answer, 'keep-alive'))
    } else if (/^expect: *100-continue/im.test(head ?? '')) {
      await write(client, Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'))
    }
  }

  function accept(client: Socket): void {
    const connection: Connection = {
      client,
      server: connect(Number(targetPort), hostname),
      rule: undefined,
      losing: false,
    }
    connections.add(connection)
    for (const socket of [client, connection.server]) socket.setNoDelay(true).on('error', () => {})
    client.once('close', () => {
      connections.delete(connection)
      connection.server.destroy()
    })
    pumpUp(connection).catch(() => connection.server.destroy())
    pumpDown(connection).catch(() => client.destroy())
  }

  async function listen(at: number): Promise<number> {
    server = createServer(accept).listen(at, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the network has no port')
    return address.port
  }

  async function refuse(): Promise<void> {
    const closing = server
    server = undefined
    if (closing === undefined) return
    const closed = once(closing, 'close')
    closing.close()
    for (const connection of connections) cut(connection, 'up')
    await closed
  }

  const port = await listen(0)
  t.teardown(async () => {
    thaw()
    await refuse()
  })
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    passed,
    get open() {
      return connections.size
    },
    whenPassed: (direction, bytes) =>
      new Promise(resolve => waiting.push({ direction, at: passed[direction] + bytes, resolve })),
    cutAfter: (direction, bytes) => void cuts.push({ direction, at: passed[direction] + bytes }),
    refuse,
    freeze: () => void (frozen ??= Promise.withResolvers()),
    thaw,
    throttle: (direction, bytesPerSecond) => void (rates[direction] = bytesPerSecond),
    delay: milliseconds => void (delayMs = milliseconds),
    answer(answer) {
      const rule = { when: answer.when, times: answer.times ?? Infinity, met: 0, answer }
      rules.push(rule)
      return rule
    },
    loseAnswers({ when, times = Infinity }) {
      const rule = { when, times, met: 0 }
      rules.push(rule)
      return rule
    },
    async mend() {
      cuts = []
      rules = []
      rates = {}
      delayMs = 0
      thaw()
      if (server === undefined) await listen(port)
    },
  }
}

/** Resolves when the system has the bytes, or when the socket is gone. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise(resolve => socket.write(bytes, () => resolve()))
}

function isContinue(bytes: Buffer): boolean {
  return bytes.subarray(0, 12).equals(Buffer.from('HTTP/1.1 100'))
}

function answerBytes({ status, headers = {}, body = '' }: CannedAnswer, connection: string): Buffer {
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.from(`HTTP/1.1 ${status} Canned\r\n${head}\r\n${body}`)
}
