import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, openConnection, openConnections } from '../generator/connection.ts'
import { type Content, createContent, kibibyte, mebibyte } from '../generator/content.ts'
import { manifestOf, manifestType, putManifest, uploadBlob } from '../generator/registry.ts'
import { repeat } from '../generator/repeat.ts'
import type { Load, Prepared, Turn } from './load.ts'

const repository = 'bench/memory'

function closing(connections: readonly Connection[]): Prepared['close'] {
  return () => {
    for (const connection of connections) connection.close()
  }
}

async function pull(connection: Connection, { digest, size }: Content): Promise<number> {
  const { length } = await connection.expect('200', { method: 'GET', path: `/v2/${repository}/blobs/${digest}` })
  if (length !== size) throw new Error(`${connection.target.name} sent ${length} bytes of a blob of ${size}`)
  return length
}

const upAndDown: Load = {
  name: 'memory',
  title: '8 uploads and 8 downloads of 1 GiB at once',
  unit: 'bytes',
  place: 'memory',
  fresh: true,
  async prepare({ target, extent }) {
    const connections = await openConnections(target, 16, { buffer: 256 * kibibyte })
    const blob = createContent(extent.large)
    const [first] = connections
    if (first !== undefined) await uploadBlob(first, repository, blob, 'length')
    const contents = connections.map(() => createContent(extent.large))
    return {
      run: () =>
        repeat({
          connections,
          most: connections.length,
          async operation(connection, number) {
            const content = contents[number]
            if (number % 2 === 0 || content === undefined) return pull(connection, blob)
            await uploadBlob(connection, `${repository}-${number}`, content, 'chunked')
            return content.size
          },
        }),
      close: closing(connections),
    }
  },
}

/** What clients of the mixed load do, how many of them, and how long each waits between two times. */
interface Habit {
  clients: number
  pauseMs: number
  act: (connection: Connection, number: number) => Promise<number>
}

/** Everything at once, for as long as it takes to see whether memory grows. What is written is little, and much of it again and again. */
async function habits({ target }: Turn): Promise<Habit[]> {
  const [config, layer, large] = [createContent(kibibyte), createContent(4 * kibibyte), createContent(100 * mebibyte)]
  const again = Array.from({ length: 16 }, () => createContent(16 * mebibyte))
  const first = await openConnection(target)
  for (const blob of [config, layer, large]) await uploadBlob(first, repository, blob, 'length')
  await putManifest(first, repository, 'latest', manifestOf(config, layer, 'latest'))
  first.close()
  const manifestPath = `/v2/${repository}/manifests/latest`
  const largePath = `/v2/${repository}/blobs/${large.digest}`
  const headers = `Accept: ${manifestType}\r\n`
  return [
    {
      clients: 4,
      pauseMs: 100,
      async act(connection, number) {
        const blob = createContent(64 * kibibyte)
        await uploadBlob(connection, repository, blob, 'chunked')
        await putManifest(connection, repository, `t${number % 1000}`, manifestOf(config, blob, `${number}`))
        return blob.size
      },
    },
    {
      clients: 2,
      pauseMs: 500,
      async act(connection, number) {
        const blob = again[number % again.length] ?? large
        await uploadBlob(connection, repository, blob, 'chunked')
        return blob.size
      },
    },
    {
      clients: 8,
      pauseMs: 0,
      async act(connection) {
        await connection.expect('200', { method: 'GET', path: manifestPath, headers })
        return 0
      },
    },
    {
      clients: 4,
      pauseMs: 0,
      async act(connection, number) {
        const from = ((number * 7919) % 1024) * 64 * kibibyte
        const range = `Range: bytes=${from}-${from + 64 * kibibyte - 1}\r\n`
        return (await connection.expect('206', { method: 'GET', path: largePath, headers: range })).length
      },
    },
    { clients: 1, pauseMs: 200, act: connection => pull(connection, large) },
    {
      clients: 1,
      pauseMs: 20,
      async act(connection) {
        await connection.expect('200', { method: 'GET', path: `/v2/${repository}/tags/list?n=100` })
        return 0
      },
    },
  ]
}

const mixed: Load = {
  name: 'mixed',
  title: 'pushes, pulls, ranges and lists together for 10 minutes',
  unit: 'operations',
  place: 'disk',
  fresh: true,
  alone: true,
  growth: true,
  async prepare(turn) {
    const all = await habits(turn)
    const groups = await Promise.all(all.map(({ clients }) => openConnections(turn.target, clients)))
    return {
      async run() {
        const works = await Promise.all(
          all.map(({ act, pauseMs }, at) =>
            repeat({
              connections: groups[at] ?? [],
              seconds: turn.extent.mixedSeconds,
              async operation(connection, number) {
                const bytes = await act(connection, number)
                if (pauseMs > 0) await sleep(pauseMs)
                return bytes
              },
            }),
          ),
        )
        const sum = (of: 'operations' | 'bytes') => works.reduce((total, work) => total + work[of], 0)
        const seconds = Math.max(...works.map(work => work.seconds))
        return { seconds, operations: sum('operations'), bytes: sum('bytes'), p50: Number.NaN, p99: Number.NaN }
      },
      close: closing(groups.flat()),
    }
  },
}

export const memory: readonly Load[] = [upAndDown, mixed]
