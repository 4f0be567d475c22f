import { openConnections } from '../generator/connection.ts'
import { createContent, kibibyte, mebibyte } from '../generator/content.ts'
import { repeat } from '../generator/repeat.ts'
import { takesSinglePost, uploadBlob, type UploadWay } from '../generator/registry.ts'
import type { Load } from './load.ts'
import { repeated } from './repeated.ts'

const wayTitles: Record<UploadWay, string> = {
  chunked: 'PATCH, chunked',
  length: 'PATCH, Content-Length',
  put: 'POST, then PUT with the body',
  post: 'one POST with the body',
}

/** Large blobs, each client one of its own. */
function largeUploads(atOnce: number, way: UploadWay): Load {
  return {
    name: `upload-${atOnce}-${way}`,
    title: `upload 1 GiB x ${atOnce}, ${wayTitles[way]}`,
    unit: 'bytes',
    place: 'memory',
    fresh: true,
    async prepare({ target, extent, number }) {
      const connections = await openConnections(target, atOnce)
      const contents = connections.map(() => createContent(extent.large))
      return {
        run: () =>
          repeat({
            connections,
            most: atOnce,
            async operation(connection, at) {
              const content = contents[at]
              if (content === undefined) throw new Error('there are fewer bodies than clients')
              await uploadBlob(connection, `bench/large-${number}-${at}`, content, way)
              return content.size
            },
          }),
        close: () => {
          for (const connection of connections) connection.close()
        },
      }
    },
  }
}

/** Small blobs in a row, 16 clients at once. */
function smallUploads(name: string, title: string, size: number, way: UploadWay): Load {
  return {
    name,
    title: `${title}, 16 at once`,
    unit: 'operations',
    place: 'disk',
    async prepare(turn) {
      const connections = await openConnections(turn.target, 1)
      try {
        const [connection] = connections
        if (connection === undefined) throw new Error('there is no connection')
        const repository = `bench/${name}`
        if (way === 'post' && !(await takesSinglePost(connection, repository, createContent(size)))) return undefined
        return await repeated(turn, {
          atOnce: 16,
          async operation(connection, number) {
            await uploadBlob(connection, `${repository}-${number % 16}`, createContent(size), way)
            return size
          },
        })
      } finally {
        for (const connection of connections) connection.close()
      }
    },
  }
}

export const uploads: readonly Load[] = [
  largeUploads(4, 'chunked'),
  largeUploads(1, 'chunked'),
  largeUploads(4, 'length'),
  largeUploads(1, 'length'),
  smallUploads('single-post', 'blobs of 1 MiB, one POST with the body', mebibyte, 'post'),
  smallUploads('single-put', 'blobs of 1 MiB, POST and then PUT with the body', mebibyte, 'put'),
  smallUploads('small-4k', 'blobs of 4 KiB, POST, PATCH, PUT', 4 * kibibyte, 'chunked'),
  smallUploads('small-64k', 'blobs of 64 KiB, POST, PATCH, PUT', 64 * kibibyte, 'chunked'),
]
