import { mkdtemp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../process.ts'
import { cacheFolder, findProgram } from '../programs.ts'
import { digestOfFile, gzipLayer, type Layer } from './layouts.ts'

const minutes = 60

/**
 * A real Debian (debootstrap's minbase) as a layer: made once, of the release and from the mirror that this machine
 * itself uses, then kept in the cache.
 */
export async function debianLayer(): Promise<Layer | { missing: string }> {
  const folder = join(cacheFolder, 'debian')
  const file = join(folder, 'layer.tar.gz')
  const diffIdFile = join(folder, 'diff-id')
  const cached = await readFile(diffIdFile, 'utf8').catch(() => undefined)
  if (cached === undefined) {
    const release = await ownRelease()
    if (process.getuid?.() !== 0 || findProgram('debootstrap') === undefined || release === undefined) {
      return { missing: 'needs debootstrap, root, and a Debian with its mirror in /etc/apt' }
    }
    await makeRoot(folder, release, { file, diffIdFile })
  }
  const diffId = cached ?? (await readFile(diffIdFile, 'utf8'))
  return { file, descriptor: { mediaType: gzipLayer, ...(await digestOfFile(file)) }, diffId }
}

async function makeRoot(
  folder: string,
  { suite, mirror }: Release,
  { file, diffIdFile }: { file: string; diffIdFile: string },
): Promise<void> {
  console.error(`making a root file system of Debian ${suite}`)
  await mkdir(folder, { recursive: true })
  const work = await mkdtemp(join(tmpdir(), 'berth-debian-'))
  try {
    const root = join(work, 'root')
    await run('debootstrap', ['--variant=minbase', suite, root, mirror], { seconds: 15 * minutes })
    await rm(join(root, 'var/cache/apt'), { recursive: true, force: true })
    const tar = join(work, 'root.tar')
    await run('tar', ['--sort=name', '--numeric-owner', '--one-file-system', '-C', root, '-cf', tar, '.'])
    const { digest } = await digestOfFile(tar)
    await run('gzip', ['-n', '-6', tar])
    await run('mv', [`${tar}.gz`, `${file}.part`])
    await rename(`${file}.part`, file)
    // Written last: it says that the layer is there and whole.
    await writeFile(diffIdFile, digest)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

interface Release {
  suite: string
  mirror: string
}

/** This machine's release and the first of its package sources that holds it. */
async function ownRelease(): Promise<Release | undefined> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const suite = /^VERSION_CODENAME="?(\w+)"?$/m.exec(release)?.[1]
  if (suite === undefined || !/^ID="?debian"?$/m.test(release)) return undefined
  const folder = '/etc/apt/sources.list.d'
  const names = await readdir(folder).catch(() => [])
  for (const file of ['/etc/apt/sources.list', ...names.map(name => join(folder, name))]) {
    const text = await readFile(file, 'utf8').catch(() => '')
    const mirror = file.endsWith('.sources') ? mirrorInStanzas(text, suite) : mirrorInLines(text, suite)
    if (mirror !== undefined) return { suite, mirror }
  }
  return undefined
}

/** sources.list(5), "ONE-LINE-STYLE FORMAT". */
function mirrorInLines(text: string, suite: string): string | undefined {
  return new RegExp(`^deb\\s+(?:\\[[^\\]]*\\]\\s+)?(\\S+)\\s+${suite}\\s.*\\bmain\\b`, 'm').exec(text)?.[1]
}

/** sources.list(5), "DEB822-STYLE FORMAT". */
function mirrorInStanzas(text: string, suite: string): string | undefined {
  const stanzas = text.replaceAll(/^#.*\n/gm, '').split(/\n\s*\n/)
  const wanted = stanzas.find(
    stanza =>
      words(stanza, 'Types').includes('deb') &&
      words(stanza, 'Suites').includes(suite) &&
      words(stanza, 'Components').includes('main'),
  )
  return wanted === undefined ? undefined : words(wanted, 'URIs')[0]
}

function words(stanza: string, field: string): string[] {
  const value = new RegExp(`^${field}:\\s*(.*(?:\\n\\s+\\S.*)*)$`, 'im').exec(stanza)?.[1]
  return value?.trim().split(/\s+/) ?? []
}
