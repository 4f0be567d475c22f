/** Image layouts on disk (OCI image specification, image-layout.md), written without any client's help. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { link, mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  platform?: { os: string; architecture: string }
  annotations?: Record<string, string>
}

/** A layer as a file in a blob folder, with the digest of what it is uncompressed. */
export interface Layer {
  file: string
  descriptor: Descriptor
  diffId: string
}

export interface Layout {
  folder: string
  /** The tag of the one entry of its index.json. */
  tag: string
  /** That entry: an image, or an index of images. */
  manifest: Descriptor
  /** Layers first, then the configuration; for an index of images none. */
  blobs: Descriptor[]
  /** Digests of the uncompressed layers. */
  diffIds: string[]
}

const image = 'application/vnd.oci.image.manifest.v1+json'
const index = 'application/vnd.oci.image.index.v1+json'
const configuration = 'application/vnd.oci.image.config.v1+json'
export const gzipLayer = 'application/vnd.oci.image.layer.v1.tar+gzip'

function sha256(bytes: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The sha256 digest and the size of a file of any size. */
export async function digestOfFile(file: string): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return { digest: `sha256:${hash.digest('hex')}`, size: (await stat(file)).size }
}

/** Compresses a tar stream into a layer below `folder`; level 0 stores, which suits random bytes. */
export async function writeLayer(
  folder: string,
  tar: AsyncIterable<Buffer>,
  { level }: { level: number },
): Promise<Layer> {
  await mkdir(folder, { recursive: true })
  const uncompressed = createHash('sha256')
  const compressed = createHash('sha256')
  const temporary = join(folder, 'layer.part')
  let size = 0
  await pipeline(
    async function* () {
      for await (const chunk of tar) {
        uncompressed.update(chunk)
        yield chunk
      }
    },
    createGzip({ level, chunkSize: 1 << 20 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        compressed.update(chunk)
        size += chunk.length
        yield chunk
      }
    },
    createWriteStream(temporary),
  )
  const hex = compressed.digest('hex')
  const file = join(folder, hex)
  await rename(temporary, file)
  const descriptor = { mediaType: gzipLayer, digest: `sha256:${hex}`, size }
  return { file, descriptor, diffId: `sha256:${uncompressed.digest('hex')}` }
}

/** A layout with one image of the layers given. The layers' files are linked, not copied. */
export async function writeImage(
  folder: string,
  { tag, architecture, layers }: { tag: string; architecture: string; layers: readonly Layer[] },
): Promise<Layout> {
  const blobs = await begin(folder)
  for (const layer of layers) await link(layer.file, join(blobs, hexOf(layer.descriptor)))
  const diffIds = layers.map(layer => layer.diffId)
  const config = await writeBlob(blobs, configuration, {
    architecture,
    os: 'linux',
    config: { Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
  })
  const descriptors = layers.map(layer => layer.descriptor)
  const manifest = await writeBlob(blobs, image, { schemaVersion: 2, mediaType: image, config, layers: descriptors })
  await writeIndexJson(folder, tag, manifest)
  return { folder, tag, manifest, blobs: [...descriptors, config], diffIds }
}

/** A layout with one index of the images given, by architecture. */
export async function writeIndex(
  folder: string,
  { tag, images }: { tag: string; images: readonly { architecture: string; layout: Layout }[] },
): Promise<Layout> {
  const blobs = await begin(folder)
  for (const { layout } of images) {
    for (const blob of [...layout.blobs, layout.manifest]) {
      await link(join(layout.folder, 'blobs/sha256', hexOf(blob)), join(blobs, hexOf(blob)))
    }
  }
  const manifests = images.map(({ architecture, layout }) => ({
    ...layout.manifest,
    platform: { os: 'linux', architecture },
  }))
  const manifest = await writeBlob(blobs, index, { schemaVersion: 2, mediaType: index, manifests })
  await writeIndexJson(folder, tag, manifest)
  return { folder, tag, manifest, blobs: [], diffIds: [] }
}

/** The file that holds a blob of a layout. */
export function blobFile(layout: Layout, blob: Descriptor): string {
  return join(layout.folder, 'blobs/sha256', hexOf(blob))
}

export function hexOf({ digest }: { digest: string }): string {
  return digest.slice('sha256:'.length)
}

async function begin(folder: string): Promise<string> {
  const blobs = join(folder, 'blobs/sha256')
  await mkdir(blobs, { recursive: true })
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  return blobs
}

async function writeBlob(folder: string, mediaType: string, content: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(content))
  const descriptor = { mediaType, digest: sha256(bytes), size: bytes.length }
  await writeFile(join(folder, hexOf(descriptor)), bytes)
  return descriptor
}

async function writeIndexJson(folder: string, tag: string, manifest: Descriptor): Promise<void> {
  const annotations = { 'org.opencontainers.image.ref.name': tag }
  const content = { schemaVersion: 2, mediaType: index, manifests: [{ ...manifest, annotations }] }
  await writeFile(join(folder, 'index.json'), JSON.stringify(content))
}
