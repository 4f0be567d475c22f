import { openConnection, type Target } from '../generator/connection.ts'
import { createContent, kibibyte } from '../generator/content.ts'
import { manifestOf, putManifest, uploadBlob } from '../generator/registry.ts'
import { entryName } from '../servers/server.ts'
import type { Load } from './load.ts'
import { repeated } from './repeated.ts'

const repository = 'bench/list'
const pageSize = 100

/** Pushes what the entries of a list are made from: the repository with one tag. */
export async function pushFirstEntry(target: Target): Promise<void> {
  const connection = await openConnection(target)
  const [config, layer] = [createContent(kibibyte), createContent(kibibyte)]
  for (const blob of [config, layer]) await uploadBlob(connection, repository, blob, 'length')
  await putManifest(connection, repository, 'first', manifestOf(config, layer, repository))
  connection.close()
}

/** Pages of 100 out of a list: the one in the middle of a long list, the first of one that has little more. */
function pages(name: string, kind: 'tags' | 'repositories', entries: number): Load {
  const middle = entryName(entries / 2)
  const prefix = kind === 'tags' ? '' : `${repository}-`
  const last = entries > pageSize ? `&last=${prefix}${middle}` : ''
  const path = `${kind === 'tags' ? `/v2/${repository}/tags/list` : '/v2/_catalog'}?n=${pageSize}${last}`
  return {
    name,
    title: `page of 100 ${kind} out of ${entries}, 4 at once`,
    unit: 'operations',
    place: 'memory',
    fill: { kind, entries },
    async prepare(turn) {
      const connection = await openConnection(turn.target)
      const { body } = await connection.expect('200', { method: 'GET', path, keep: true })
      connection.close()
      const page: Record<string, unknown> = JSON.parse(body.toString())
      const names = page[kind]
      if (!Array.isArray(names)) throw new Error(`${turn.target.name} sent no ${kind} for ${path}`)
      // Some know no pages of tags, and send them all.
      if (names.length !== pageSize) return undefined
      return repeated(turn, {
        atOnce: 4,
        async operation(connection) {
          await connection.expect('200', { method: 'GET', path })
          return 0
        },
      })
    },
  }
}

export const lists: readonly Load[] = [
  pages('tags-100', 'tags', 100),
  pages('tags-100000', 'tags', 100_000),
  pages('catalog-100', 'repositories', 100),
  pages('catalog-100000', 'repositories', 100_000),
]
