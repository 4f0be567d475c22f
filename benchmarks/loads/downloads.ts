import { openConnection, openConnections, type Target } from '../generator/connection.ts'
import { type Content, createContent, kibibyte, mebibyte } from '../generator/content.ts'
import { uploadBlob } from '../generator/registry.ts'
import { repeat } from '../generator/repeat.ts'
import type { Load } from './load.ts'
import { repeated } from './repeated.ts'

const repository = 'bench/downloads'

async function pushBlobs(target: Target, count: number, size: number): Promise<Content[]> {
  const connection = await openConnection(target)
  const contents = Array.from({ length: count }, () => createContent(size))
  for (const content of contents) await uploadBlob(connection, repository, content, 'length')
  connection.close()
  return contents
}

const download: Load = {
  name: 'download',
  title: 'download 100 MiB x 8',
  unit: 'bytes',
  place: 'memory',
  async prepare(turn) {
    const blobs = await turn.once(() => pushBlobs(turn.target, 8, turn.extent.download))
    const connections = await openConnections(turn.target, blobs.length, { buffer: 256 * kibibyte })
    const pull = (most: number) =>
      repeat({
        connections,
        most,
        async operation(connection, number) {
          const blob = blobs[number % blobs.length]
          const path = `/v2/${repository}/blobs/${blob?.digest}`
          const { length } = await connection.expect('200', { method: 'GET', path })
          if (length !== blob?.size)
            throw new Error(`${turn.target.name} sent ${length} bytes of a blob of ${blob?.size}`)
          return length
        },
      })
    await pull(blobs.length)
    return {
      run: () => pull(blobs.length * turn.extent.downloads),
      close: () => {
        for (const connection of connections) connection.close()
      },
    }
  },
}

function ranges(name: string, title: string, size: number, unit: Load['unit']): Load {
  return {
    name,
    title: `ranges of ${title}, 16 at once`,
    unit,
    place: 'memory',
    async prepare(turn) {
      const [blob] = await turn.once(() => pushBlobs(turn.target, 1, turn.extent.download))
      if (blob === undefined) throw new Error('there is no blob')
      const path = `/v2/${repository}/blobs/${blob.digest}`
      // The same places in the same order for each server, all over the blob.
      const places = Math.floor((blob.size - size) / (4 * kibibyte))
      return repeated(turn, {
        atOnce: 16,
        buffer: 256 * kibibyte,
        async operation(connection, number) {
          const from = ((number * 7919) % places) * 4 * kibibyte
          const headers = `Range: bytes=${from}-${from + size - 1}\r\n`
          const { length } = await connection.expect('206', { method: 'GET', path, headers })
          if (length !== size) throw new Error(`${turn.target.name} sent ${length} bytes of a range of ${size}`)
          return length
        },
      })
    },
  }
}

export const downloads: readonly Load[] = [
  download,
  ranges('range-64k', '64 KiB', 64 * kibibyte, 'operations'),
  ranges('range-4m', '4 MiB', 4 * mebibyte, 'bytes'),
]
