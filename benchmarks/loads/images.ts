import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Layer, type Layout, writeImage, writeLayer } from '../../conformance/clients/layouts.ts'
import { run } from '../../conformance/process.ts'
import { findProgram } from '../../conformance/programs.ts'
import { mebibyte } from '../generator/content.ts'
import { percentile } from '../statistics.ts'
import type { Load, Prepared, Turn } from './load.ts'

const images = 3
const layers = 4
const layerSize = 16 * mebibyte

/** An image of four layers of 16 MiB, which is in no registry yet. */
async function makeImage(folder: string): Promise<Layout> {
  const made: Layer[] = []
  for (let at = 0; at < layers; at++) made.push(await writeLayer(join(folder, 'layers'), randomPieces(), { level: 0 }))
  return writeImage(join(folder, 'image'), { tag: 'image', architecture: 'amd64', layers: made })
}

async function* randomPieces(): AsyncGenerator<Buffer> {
  for (let at = 0; at < layerSize; at += mebibyte) yield randomBytes(mebibyte)
}

interface Skopeo {
  push: (layout: Layout, name: string) => Promise<unknown>
  pull: (name: string, folder: string) => Promise<unknown>
}

async function skopeoFor({ target, scratch }: Turn): Promise<Skopeo> {
  const trusted = join(scratch, 'trusted')
  const shared = join(scratch, 'containers')
  for (const folder of [trusted, shared]) await mkdir(folder, { recursive: true })
  if (target.ca !== undefined) await copyFile(target.ca, join(trusted, 'ca.crt'))
  const trust = (side: string) =>
    target.ca === undefined ? `--${side}-tls-verify=false` : `--${side}-cert-dir=${trusted}`
  const image = (name: string) => `docker://${target.host}:${target.port}/bench/${name}`
  const copy = (...args: string[]) => {
    const command = ['skopeo', '--insecure-policy', 'copy', '--quiet', ...args]
    const [program = '', ...rest] = process.getuid?.() === 0 ? withOwnCache(shared, command) : command
    return run(program, rest, { env: { XDG_DATA_HOME: shared }, seconds: 300 })
  }
  return {
    push: ({ folder, tag }, name) => copy(trust('dest'), `oci:${folder}:${tag}`, image(name)),
    pull: (name, folder) => copy(trust('src'), image(name), `dir:${folder}`),
  }
}

/** As root skopeo remembers where it saw a blob below this folder, whatever it is told: in mounts of its own, it is one of ours. */
function withOwnCache(folder: string, command: readonly string[]): string[] {
  const script = 'mkdir -p /var/lib/containers && mount --bind "$0" /var/lib/containers && exec "$@"'
  return findProgram('unshare') === undefined
    ? [...command]
    : ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, folder, ...command]
}

/** One after the other, as a single user meets it. */
async function inTurn(work: readonly (() => Promise<unknown>)[], bytes: number): ReturnType<Prepared['run']> {
  const latencies: number[] = []
  for (const one of work) {
    const from = performance.now()
    await one()
    latencies.push(performance.now() - from)
  }
  const seconds = latencies.reduce((sum, ms) => sum + ms, 0) / 1000
  const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)]
  return { seconds, operations: work.length, bytes, p50, p99 }
}

const bytesOfAll = images * layers * layerSize

const imagePush: Load = {
  name: 'image-push',
  title: 'image of 4 x 16 MiB pushed by skopeo, 3 in a row',
  unit: 'bytes',
  place: 'disk',
  programs: ['skopeo'],
  async prepare(turn) {
    const skopeo = await skopeoFor(turn)
    const folder = join(turn.scratch, `push-${turn.number}`)
    const layouts: Layout[] = []
    for (let at = 0; at < images; at++) layouts.push(await makeImage(join(folder, String(at))))
    const work = layouts.map((layout, at) => () => skopeo.push(layout, `image-${turn.number}-${at}:v1`))
    return {
      run: () => inTurn(work, bytesOfAll),
      close: () => rm(folder, { recursive: true }),
    }
  },
}

const imagePull: Load = {
  name: 'image-pull',
  title: 'the same image pulled by skopeo, 3 in a row',
  unit: 'bytes',
  place: 'disk',
  programs: ['skopeo'],
  async prepare(turn) {
    const skopeo = await skopeoFor(turn)
    const folder = join(turn.scratch, `pull-${turn.number}`)
    await turn.once(async () => skopeo.push(await makeImage(folder), 'pulled:v1'))
    await mkdir(folder, { recursive: true })
    const work = Array.from({ length: images }, (_, at) => () => skopeo.pull('pulled:v1', join(folder, `pulled-${at}`)))
    return {
      run: () => inTurn(work, bytesOfAll),
      close: () => rm(folder, { recursive: true }),
    }
  },
}

export const wholeImages: readonly Load[] = [imagePush, imagePull]
