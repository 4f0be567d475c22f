import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { entryName, type RunningServer } from './server.ts'

/**
 * Entries in the layout that distribution's file systems have: a tag is `_manifests/tags/NAME/current/link`, a
 * repository a folder with `_manifests`, `_layers` and `_uploads`. Made from what was pushed before: the repository
 * `bench/list` with its tag `first`.
 */
export async function fillLayout(root: string, ...[kind, count]: Parameters<RunningServer['fill']>): Promise<void> {
  const repositories = join(root, 'docker/registry/v2/repositories/bench')
  const source = join(repositories, 'list')

  const link = await readFile(join(source, '_manifests/tags/first/current/link'))
  await inBatches(count, async at => {
    if (kind === 'tags') {
      const folder = join(source, '_manifests/tags', entryName(at), 'current')
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'link'), link)
    } else {
      const folder = join(repositories, `list-${entryName(at)}`)
      await mkdir(join(folder, '_manifests/tags/first/current'), { recursive: true })
      await writeFile(join(folder, '_manifests/tags/first/current/link'), link)
      await mkdir(join(folder, '_layers'))
      await mkdir(join(folder, '_uploads'))
    }
  })
}

async function inBatches(count: number, make: (at: number) => Promise<void>): Promise<void> {
  for (let at = 0; at < count; at += 500)
    await Promise.all(Array.from({ length: Math.min(500, count - at) }, (_, more) => make(at + more)))
}
