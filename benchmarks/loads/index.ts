import { downloads } from './downloads.ts'
import { wholeImages } from './images.ts'
import type { Load } from './load.ts'
import { manifests } from './manifests.ts'
import { memory } from './memory.ts'
import { lists } from './pages.ts'
import { slowClients } from './slow.ts'
import { uploads } from './uploads.ts'

/** Every load, in the order in which they run. */
export const loads: readonly Load[] = [
  ...uploads,
  ...manifests,
  ...downloads,
  ...lists,
  ...wholeImages,
  slowClients,
  ...memory,
]

/** @throws Error that tells the names there are */
export function findLoad(name: string): Load {
  const load = loads.find(load => load.name === name)
  if (load === undefined) throw new Error(`no load ${name}; there are ${loads.map(load => load.name).join(', ')}`)
  return load
}
