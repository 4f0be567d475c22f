/** The servers that are up, each on a folder of its own. */
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../conformance/berth.ts'
import type { Certificates } from '../conformance/certificates.ts'
import type { Target } from './generator/connection.ts'
import type { RunningServer, Server } from './servers/server.ts'

export interface Member extends RunningServer {
  /** Tells it from every other server that ran in this process. */
  readonly id: string
  readonly target: Target
}

export interface Fleet {
  /** The server, started on an empty folder below `parent` unless it runs there already. */
  get: (server: Server, parent: string) => Promise<Member>
  /** Stops one and removes its data. */
  drop: (server: Server) => Promise<void>
  dropAll: () => Promise<void>
}

export interface FleetOptions {
  tls?: Certificates
  /** Called with each server that has been started, before anything else is done to it. */
  onStart: (member: Member) => Promise<void>
}

export function createFleet({ tls, onStart }: FleetOptions): Fleet {
  const members = new Map<Server, { member: Member; folder: string; parent: string }>()
  let started = 0

  async function startOn(server: Server, parent: string): Promise<Member> {
    const id = `${server.name}-${++started}`
    const folder = join(parent, id)
    await mkdir(folder)
    await chmod(folder, 0o755)
    const port = await freePort()
    const target: Target = {
      name: server.title,
      host: '127.0.0.1',
      port,
      ...(tls === undefined ? {} : { ca: tls.ca }),
    }
    const running = await server.start({ folder, port, ...(tls === undefined ? {} : { tls }) }, target)
    const member = { ...running, id, target }
    members.set(server, { member, folder, parent })
    await onStart(member)
    return member
  }

  async function drop(server: Server): Promise<void> {
    const found = members.get(server)
    if (found === undefined) return
    members.delete(server)
    await found.member.stop()
    await rm(found.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }

  return {
    async get(server, parent) {
      const found = members.get(server)
      if (found !== undefined && found.parent === parent) return found.member
      await drop(server)
      return startOn(server, parent)
    },
    drop,
    async dropAll() {
      for (const server of members.keys()) await drop(server)
    },
  }
}
