/** What the clients push: small images, an index of two of them, Debian, and a layer of 1 GiB. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { debianLayer } from './debian.ts'
import { type Layer, type Layout, writeImage, writeIndex, writeLayer } from './layouts.ts'

export interface Content {
  small: Layout
  arm: Layout
  /** An index of `small` and `arm`. */
  multi: Layout
  /** One layer of 1 GiB that no compression makes smaller. */
  big: { layout: Layout } | { missing: string }
  /** A Debian root file system, or why there is none. */
  debian: { layout: Layout; layer: Layer } | { missing: string }
  /** The layer of `small`. */
  smallLayer: Layer
}

const gibibyte = 1 << 30

/**
 * Makes everything below `folder`. The bytes differ from run to run, so that nothing is in a registry already.
 * @param options.large whether Debian and the layer of 1 GiB are wanted, too
 */
export async function makeContent(folder: string, { large }: { large: boolean }): Promise<Content> {
  const layers = join(folder, 'layers')
  await mkdir(layers, { recursive: true })
  const smallLayer = await smallLayerOf(layers, 'amd64')
  const small = await writeImage(join(folder, 'small'), { tag: 'small', architecture: 'amd64', layers: [smallLayer] })
  const armLayer = await smallLayerOf(layers, 'arm64')
  const arm = await writeImage(join(folder, 'arm'), { tag: 'arm', architecture: 'arm64', layers: [armLayer] })
  const images = [
    { architecture: 'amd64', layout: small },
    { architecture: 'arm64', layout: arm },
  ]
  const multi = await writeIndex(join(folder, 'multi'), { tag: 'multi', images })
  const left = { missing: 'not asked for' }
  const big = large ? await makeBig(folder) : left
  const debian = large ? await makeDebian(folder) : left
  return { small, arm, multi, big, debian, smallLayer }
}

async function makeBig(folder: string): Promise<Content['big']> {
  const file = { name: 'big.bin', size: gibibyte }
  const layer = await writeLayer(join(folder, 'layers'), tarOf([file]), { level: 0 })
  return { layout: await writeImage(join(folder, 'big'), { tag: 'big', architecture: 'amd64', layers: [layer] }) }
}

async function makeDebian(folder: string): Promise<Content['debian']> {
  const layer = await debianLayer()
  if ('missing' in layer) return layer
  // A second, small layer makes the image this run's own; its first is the same in each.
  const own = await smallLayerOf(join(folder, 'layers'), 'debian')
  const layers = [layer, own]
  return { layer, layout: await writeImage(join(folder, 'debian'), { tag: 'debian', architecture: 'amd64', layers }) }
}

function smallLayerOf(folder: string, name: string): Promise<Layer> {
  const files = [
    { name: 'hello', text: `hello from ${name}\n` },
    { name: 'random', size: 300_000 },
  ]
  return writeLayer(folder, tarOf(files), { level: 6 })
}

type File = { name: string; text: string } | { name: string; size: number }

/** A tar archive of plain files, each with its text or with so many random bytes. */
async function* tarOf(files: readonly File[]): AsyncGenerator<Buffer> {
  for (const file of files) {
    const size = 'text' in file ? Buffer.byteLength(file.text) : file.size
    yield tarHeader(file.name, size)
    if ('text' in file) yield Buffer.from(file.text)
    else yield* randomChunks(size)
    yield Buffer.alloc((512 - (size % 512)) % 512)
  }
  yield Buffer.alloc(1024)
}

function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write(octal(0o644, 8) + octal(0, 8) + octal(0, 8) + octal(size, 12) + octal(0, 12), 100)
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${octal(sum, 7)} `, 148)
  return header
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`
}

// The key stream of a cipher comes several times as fast as the system's random bytes.
function* randomChunks(size: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16))
  const zeros = Buffer.alloc(1 << 20)
  for (let left = size; left > 0; left -= zeros.length) {
    yield cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros)
  }
}
