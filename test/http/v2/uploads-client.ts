import { once } from 'node:events'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import pg from 'pg'
import type { Test } from 'tap'
import { type Answer, ask } from '../../../conformance/http.ts'
import type { Digest } from '../../../server/oci/digest.ts'
import type { TestRegistry } from '../../helpers/registry.ts'
import { until } from '../../storage-drivers/open-files.ts'
import { internalPath } from '../../../server/http/v2/paths.ts'

/** A client that pushes and pulls blobs step by step, and what it takes to disturb it. */

type Registry = Pick<TestRegistry, 'url'>

/** Content with its address. */
interface Content {
  bytes: Buffer
  digest: Digest
}

/** Asks for an upload. @param query with its question mark */
export function post({ url }: Registry, repository: string, query = '', body?: Buffer): Promise<Answer> {
  return ask(`${url}/v2/${repository}/blobs/uploads/${query}`, {
    method: 'POST',
    ...(body === undefined ? {} : { body }),
  })
}

/** Begins an upload. @returns its URL */
export async function begin(registry: Registry, repository: string, query = ''): Promise<string> {
  const answer = await post(registry, repository, query)
  if (answer.status !== 202) throw new Error(`no upload was begun: ${answer.status} ${answer.body.toString()}`)
  return locationOf(answer)
}

export function locationOf({ headers: { location } }: Answer): string {
  if (location === undefined) throw new Error('the answer has no Location')
  return location
}

export function append(upload: string, body: Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(upload, { method: 'PATCH', body, headers })
}

/** A part of a blob, with its place in it. */
export function appendAt(upload: string, bytes: Buffer, [first, end]: readonly [number, number]): Promise<Answer> {
  return append(upload, bytes.subarray(first, end), { 'content-range': `${first}-${end - 1}` })
}

export function finish(
  upload: string,
  digest: string,
  body?: Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask(withDigest(upload, digest), { method: 'PUT', headers, ...(body === undefined ? {} : { body }) })
}

export function withDigest(upload: string, digest: string): string {
  return `${upload}${upload.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
}

export function status(upload: string): Promise<Answer> {
  return ask(upload)
}

/** How many bytes an upload has, by its status; only the last of more than one can be told from none. */
export async function offsetOf(upload: string): Promise<number> {
  const { headers } = await status(upload)
  const last = Number(/^0-(\d+)$/.exec(String(headers['range']))?.[1])
  return last === 0 ? 0 : last + 1
}

/** Pushes a whole blob in the usual way. */
export async function push(registry: Registry, repository: string, { bytes, digest }: Content): Promise<void> {
  const answer = await finish(await begin(registry, repository), digest, bytes)
  if (answer.status !== 201) throw new Error(`no blob was made: ${answer.status} ${answer.body.toString()}`)
}

export function pull(
  { url }: Registry,
  repository: string,
  digest: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return ask(`${url}/v2/${repository}/blobs/${digest}`, options)
}

/** Whether the repository gives exactly these bytes for the digest. */
export async function has(registry: Registry, repository: string, { bytes, digest }: Content): Promise<boolean> {
  const answer = await pull(registry, repository, digest)
  return answer.status === 200 && answer.body.equals(bytes)
}

/** Status and error codes of an answer in one line, such as `400 DIGEST_INVALID`. */
export function refusal({ status, body }: Answer): string {
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] }
  if (!errors.every(({ code, message }) => /^[A-Z_]+$/.test(code) && message !== '')) throw new Error(body.toString())
  return [status, ...errors.map(error => error.code)].join(' ')
}

/** A request whose body is sent as it pleases. */
export interface Sending {
  /** The server's side of it. */
  received: Promise<IncomingMessage>
  answer: Promise<Answer>
  /** Resolves when the server has the bytes. */
  send(bytes: Buffer): Promise<void>
  end(): void
  /** Cuts the connection. */
  breakOff(): void
}

/** Begins a request; its body is chunked unless the headers tell its length. */
export function startSending(
  registry: TestRegistry,
  url: string,
  { method, headers = {} }: { method: string; headers?: Record<string, string> },
): Sending {
  const request = httpRequest(url, { method, headers, agent: false })
  const { pathname } = new URL(url)
  const answer = new Promise<Answer>((resolve, reject) => {
    request.once('error', reject)
    request.once('response', response => {
      buffer(response).then(
        body => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        reject,
      )
    })
  })
  // Who breaks off need not wait for an answer.
  answer.catch(() => {})
  const received = new Promise<IncomingMessage>(resolve => {
    const look = (incoming: IncomingMessage) => {
      // The framework has written the URL anew for its routes.
      const path = incoming.url?.split('?', 1)[0]
      if (incoming.method !== method || path !== internalPath(pathname)) return
      registry.app.server.off('request', look)
      resolve(incoming)
    }
    registry.app.server.on('request', look)
  })
  let sent = 0
  request.flushHeaders()
  return {
    received,
    answer,
    async send(bytes) {
      sent += bytes.length
      request.write(bytes)
      const { socket } = await received
      await until(
        () => socket.bytesRead,
        read => read >= sent,
      )
    },
    end: () => void request.end(),
    breakOff: () => void request.destroy(),
  }
}

/** A session of its own on the registry's database, for what a test does behind the registry's back. */
export async function openAdmin(t: Test, { databaseUrl }: Pick<TestRegistry, 'databaseUrl'>): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** Statements of the registry that wait for a table, until the end of the test or before. */
export interface Blockade {
  /** Resolves when a statement of the registry waits. */
  reached(): Promise<void>
  /** Ends the connections that wait. */
  cut(): Promise<void>
  lift(): Promise<void>
}

/** Has whatever writes to a table wait, or whatever reads from it, too. */
export async function block(
  t: Test,
  registry: TestRegistry,
  table: string,
  mode: 'exclusive' | 'access exclusive' = 'exclusive',
): Promise<Blockade> {
  const holder = await openAdmin(t, registry)
  const observer = await openAdmin(t, registry)
  await holder.query('begin')
  await holder.query(`lock table ${table} in ${mode} mode`)
  const waiting = `from pg_stat_activity
    where datname = current_database() and application_name = 'berth' and wait_event_type = 'Lock'`
  return {
    async reached() {
      const count = await until(
        async () => (await observer.query(`select 1 ${waiting}`)).rowCount ?? 0,
        count => count > 0,
      )
      if (count === 0) throw new Error(`nothing waits for ${table}`)
    },
    cut: async () => void (await observer.query(`select pg_terminate_backend(pid) ${waiting}`)),
    lift: async () => void (await holder.query('rollback')),
  }
}

/** A way to the database that can be interrupted. */
export interface Link {
  /** The database's URL by this way. */
  url: string
  /** Breaks what is connected, and refuses what wants to. */
  cut(): Promise<void>
  restore(): Promise<void>
  /** Keeps what is connected, and lets nothing through, until `resume`. */
  stall(): void
  resume(): void
}

export async function startLink(t: Test, databaseUrl: string): Promise<Link> {
  const { host, port, user, password, database } = new pg.Client({ connectionString: databaseUrl })
  const sockets = new Set<Socket>()
  let stalled = false
  const forward = async (from: Socket, to: Socket) => {
    for await (const bytes of from) {
      await until(
        () => stalled,
        now => !now,
        60_000,
      )
      to.write(bytes)
    }
  }
  const server = createServer(near => {
    const far = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    for (const way of [forward(near, far), forward(far, near)]) way.catch(() => {})
  })
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }
  const ownPort = await listen(0)
  const cut = async () => {
    for (const socket of sockets) socket.destroy()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }
  t.teardown(cut)
  const login = `${encodeURIComponent(user ?? '')}:${encodeURIComponent(password ?? '')}`
  return {
    url: `postgres://${login}@127.0.0.1:${ownPort}/${database ?? ''}`,
    cut,
    restore: async () => void (await listen(ownPort)),
    stall: () => void (stalled = true),
    resume: () => void (stalled = false),
  }
}
