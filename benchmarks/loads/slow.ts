import type { Socket } from 'node:net'
import { headerOf, openConnection, openSocket, type Target } from '../generator/connection.ts'
import { type Content, createContent, kibibyte } from '../generator/content.ts'
import { locationOf, uploadBlob } from '../generator/registry.ts'
import type { Load } from './load.ts'

const repository = 'bench/slow'
/** What each client sends or reads in a second. */
const rate = kibibyte
/** A second is divided, so that the clients do not move all at once. */
const parts = 20

interface SlowClient {
  /** Reads or sends the bytes of one second. */
  step: () => number
  close: () => void
}

const chunk = Buffer.concat([Buffer.from(`${rate.toString(16)}\r\n`), Buffer.alloc(rate, 'x'), Buffer.from('\r\n')])

/** Asks for a large blob and reads a little of it each second: what is not read stays with the server. */
async function slowReader(target: Target, digest: string): Promise<SlowClient> {
  const socket = await openSocket(target)
  const failure = watch(socket, target)
  socket.write(`GET /v2/${repository}/blobs/${digest} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\n\r\n`)
  let begun = false
  return {
    step() {
      failure()
      const bytes: unknown = socket.read(rate) ?? socket.read()
      if (!Buffer.isBuffer(bytes)) return 0
      if (!begun && !bytes.toString('latin1', 9, 12).startsWith('200'))
        throw new Error(`${target.name} answered a slow client with ${bytes.toString('latin1', 0, 100)}`)
      begun = true
      return bytes.length
    },
    close: () => socket.destroy(),
  }
}

/** Sends a little of an upload each second, and never ends it. */
async function slowSender(target: Target, path: string): Promise<SlowClient> {
  const socket = await openSocket(target)
  const failure = watch(socket, target)
  const type = 'Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked'
  socket.write(`PATCH ${path} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\n${type}\r\n\r\n`)
  return {
    step() {
      failure()
      socket.write(chunk)
      return rate
    },
    close: () => socket.destroy(),
  }
}

/** @returns a function that throws once the server has ended the connection */
function watch(socket: Socket, { name }: Target): () => void {
  let over = false
  socket.on('error', () => (over = true)).on('close', () => (over = true))
  return () => {
    if (over) throw new Error(`${name} has ended the connection of a slow client`)
  }
}

async function openClients(target: Target, count: number, blob: Content): Promise<SlowClient[]> {
  const connection = await openConnection(target)
  const clients: SlowClient[] = []
  while (clients.length < count) {
    if (clients.length % 2 === 0) {
      clients.push(await slowReader(target, blob.digest))
    } else {
      const path = `/v2/${repository}/blobs/uploads/`
      const begun = await connection.expect('202', { method: 'POST', path, headers: 'Content-Length: 0\r\n' })
      if (headerOf(begun, 'connection')?.toLowerCase() === 'close')
        throw new Error(`${target.name} keeps no connection`)
      clients.push(await slowSender(target, locationOf(connection, begun)))
    }
  }
  connection.close()
  return clients
}

export const slowClients: Load = {
  name: 'slow-clients',
  title: '1,000 slow clients at 1 KiB/s, half up and half down',
  unit: 'operations',
  place: 'disk',
  fresh: true,
  besideIdle: true,
  async prepare({ target, extent }) {
    const blob = createContent(extent.download)
    const connection = await openConnection(target)
    await uploadBlob(connection, repository, blob, 'length')
    connection.close()
    let clients: SlowClient[] = []
    return {
      async open() {
        clients = await openClients(target, extent.slowClients, blob)
      },
      async run() {
        const from = performance.now()
        let bytes = 0
        let operations = 0
        await new Promise<void>((resolve, reject) => {
          let part = 0
          const timer = setInterval(() => {
            try {
              for (let at = part % parts; at < clients.length; at += parts) {
                bytes += clients[at]?.step() ?? 0
                operations++
              }
            } catch (error) {
              clearInterval(timer)
              reject(error instanceof Error ? error : new Error(String(error)))
            }
            if (++part >= extent.slowSeconds * parts) {
              clearInterval(timer)
              resolve()
            }
          }, 1000 / parts)
        })
        const seconds = (performance.now() - from) / 1000
        return { seconds, operations, bytes, p50: Number.NaN, p99: Number.NaN }
      },
      close: () => {
        for (const client of clients) client.close()
      },
    }
  },
}
