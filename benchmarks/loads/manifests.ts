import { type ConnectionOptions, openConnection, type Target } from '../generator/connection.ts'
import { createContent, kibibyte } from '../generator/content.ts'
import { manifestOf, manifestType, putManifest, uploadBlob } from '../generator/registry.ts'
import type { Load, Turn } from './load.ts'
import { repeated } from './repeated.ts'

interface Image {
  repository: string
  tag: string
  digest: string
  blob: string
}

const repositories = 10
const tags = 10

/** Some repositories with some tags each: a registry that many pull from. */
export async function pushImages(target: Target, options: ConnectionOptions = {}): Promise<Image[]> {
  const connection = await openConnection(target, options)
  const images: Image[] = []
  for (let at = 0; at < repositories; at++) {
    const repository = `bench/app-${at}`
    const config = createContent(kibibyte)
    const layer = createContent(4 * kibibyte)
    for (const blob of [config, layer]) await uploadBlob(connection, repository, blob, 'length')
    for (let number = 0; number < tags; number++) {
      const tag = `v${number}`
      const manifest = manifestOf(config, layer, `${repository}:${tag}`)
      await putManifest(connection, repository, tag, manifest)
      images.push({ repository, tag, digest: manifest.digest, blob: layer.digest })
    }
  }
  connection.close()
  return images
}

/** A request without a body to one image after another, 64 at once. */
function reads(name: string, title: string, method: 'GET' | 'HEAD', pathOf: (image: Image) => string): Load {
  return {
    name,
    title: `${title}, 64 at once`,
    unit: 'operations',
    place: 'disk',
    async prepare(turn: Turn) {
      const images = await turn.once(() => pushImages(turn.target))
      const paths = images.map(pathOf)
      const headers = `Accept: ${manifestType}\r\n`
      return repeated(turn, {
        atOnce: 64,
        buffer: 16 * kibibyte,
        async operation(connection, number) {
          const path = paths[number % paths.length] ?? '/'
          await connection.expect('200', { method, path, headers })
          return 0
        },
      })
    },
  }
}

const manifestPut: Load = {
  name: 'manifest-put',
  title: 'manifest PUT by a new tag, 16 at once',
  unit: 'operations',
  place: 'disk',
  async prepare(turn) {
    const { config, layer } = await turn.once(async () => {
      const blobs = { config: createContent(kibibyte), layer: createContent(4 * kibibyte) }
      const connection = await openConnection(turn.target)
      for (let at = 0; at < repositories; at++) {
        for (const blob of [blobs.config, blobs.layer]) await uploadBlob(connection, `bench/put-${at}`, blob, 'length')
      }
      connection.close()
      return blobs
    })
    return repeated(turn, {
      atOnce: 16,
      async operation(connection, number) {
        const tag = `t${turn.number}-${number}`
        await putManifest(connection, `bench/put-${number % repositories}`, tag, manifestOf(config, layer, tag))
        return 0
      },
    })
  },
}

const mount: Load = {
  name: 'mount',
  title: 'mount of a blob from another repository, 16 at once',
  unit: 'operations',
  place: 'disk',
  async prepare(turn) {
    const blobs = await turn.once(async () => {
      const connection = await openConnection(turn.target)
      const contents = Array.from({ length: 100 }, () => createContent(kibibyte))
      for (const content of contents) await uploadBlob(connection, 'bench/source', content, 'length')
      connection.close()
      return contents.map(({ digest }) => digest)
    })
    return repeated(turn, {
      atOnce: 16,
      async operation(connection, number) {
        const digest = blobs[number % blobs.length] ?? ''
        const repository = `bench/mount-${turn.number}-${Math.floor(number / blobs.length)}`
        const path = `/v2/${repository}/blobs/uploads/?mount=${digest}&from=bench/source`
        await connection.expect('201', { method: 'POST', path, headers: 'Content-Length: 0\r\n' })
        return 0
      },
    })
  },
}

export const manifests: readonly Load[] = [
  manifestPut,
  reads(
    'manifest-get-tag',
    'manifest GET by tag',
    'GET',
    ({ repository, tag }) => `/v2/${repository}/manifests/${tag}`,
  ),
  reads(
    'manifest-get-digest',
    'manifest GET by digest',
    'GET',
    ({ repository, digest }) => `/v2/${repository}/manifests/${digest}`,
  ),
  reads('manifest-head', 'manifest HEAD by tag', 'HEAD', ({ repository, tag }) => `/v2/${repository}/manifests/${tag}`),
  reads('blob-head', 'blob HEAD', 'HEAD', ({ repository, blob }) => `/v2/${repository}/blobs/${blob}`),
  mount,
]
