/** Plain connections, for what a well-behaved client library would never send, or hides from its user. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Duplex } from 'node:stream'

/** Asks again and again until the answer is yes. @throws Error when it is not within the time */
export async function until(holds: () => Promise<boolean> | boolean, ms = 5_000): Promise<void> {
  const limit = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > limit) throw new Error(`it does not hold after ${ms} ms: ${holds.toString()}`)
    await sleep(10)
  }
}

export interface RawAnswer {
  status: number
  /** Names in lower case; of several with one name the values joined by commas. */
  headers: Record<string, string>
  body: Buffer
  /** The head as it came. */
  head: string
}

export interface Connection {
  socket: Duplex
  send(text: string | Uint8Array): void
  /** The next answer of the connection, to its end. @throws Error when the connection ends before */
  answer(request?: { method?: string }): Promise<RawAnswer>
  /** Resolves when the server has closed the connection. */
  closed: Promise<void>
  close(): void
}

/** A connection to the host of a URL. */
export async function open(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, 'connect')
  return connectionOf(socket)
}

/** Speaks over a socket that is open already: of TLS, or of the file system. */
export function connectionOf(socket: Duplex | Socket): Connection {
  let buffered = Buffer.alloc(0)
  let over = false
  let failure: unknown
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const go of waiting) go()
    waiting.clear()
  }
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk])
    wake()
  })
  socket.on('error', error => {
    failure = error
  })
  const ended = () => {
    over = true
    resolve()
    wake()
  }
  socket.on('end', ended)
  socket.on('close', ended)

  async function more(): Promise<void> {
    if (over)
      throw new Error(`the connection ended after ${JSON.stringify(buffered.toString().slice(0, 200))}`, {
        cause: failure,
      })
    await new Promise<void>(go => waiting.add(go))
  }

  function take(length: number): Buffer {
    const taken = buffered.subarray(0, length)
    buffered = buffered.subarray(length)
    return taken
  }

  async function line(): Promise<string> {
    for (;;) {
      const end = buffered.indexOf('\r\n')
      if (end >= 0)
        return take(end + 2)
          .toString('latin1')
          .slice(0, -2)
      await more()
    }
  }

  async function bytes(length: number): Promise<Buffer> {
    while (buffered.length < length) await more()
    return take(length)
  }

  async function chunks(): Promise<Buffer> {
    const parts: Buffer[] = []
    for (;;) {
      const size = Number.parseInt(await line(), 16)
      parts.push(await bytes(size))
      await line()
      if (size === 0) return Buffer.concat(parts)
    }
  }

  return {
    socket,
    closed,
    send: text => void socket.write(text),
    close: () => socket.destroy(),
    async answer({ method = 'GET' } = {}) {
      const lines: string[] = []
      for (let next = await line(); next !== ''; next = await line()) lines.push(next)
      const [first = '', ...rest] = lines
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1])
      const headers: Record<string, string> = {}
      for (const text of rest) {
        const [, name = '', value = ''] = /^([^:]+): ?(.*)$/.exec(text) ?? []
        const before = headers[name.toLowerCase()]
        headers[name.toLowerCase()] = before === undefined ? value : `${before}, ${value}`
      }
      const bare = method === 'HEAD' || status < 200 || status === 204 || status === 304
      const chunked = headers['transfer-encoding'] === 'chunked'
      const body = bare
        ? Buffer.alloc(0)
        : chunked
          ? await chunks()
          : await bytes(Number(headers['content-length'] ?? 0))
      return { status, headers, body, head: lines.join('\n') }
    },
  }
}

/** The envelope's first error. */
export function firstError(body: Buffer): { code: string; message: string } {
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] }
  const [error] = errors
  if (error === undefined) throw new Error('no error in the envelope')
  return error
}
