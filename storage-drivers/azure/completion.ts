import { UploadLost } from '../driver.ts'
import { codeOf, isConflict } from './failures.ts'
import { markOf, ownKey } from './state.ts'
import type { AzureStore, Conditions, Labels } from './store.ts'

/** What an upload's object was made for. Only one that was made to be read may be made anew. */
export type Stage = 'read' | 'committed' | 'dropped'

/** How an upload's object is made. */
export interface Completion {
  stage: Stage
  /**
   * The last block's id. A session has one list of blocks, so it tells which list it is: who made an object already, by
   * a request whose answer was lost, knows it by this.
   */
  last: string
  /** @throws Azure's error when the condition is not met */
  make: (key: string, settings: Required<Labels> & { conditions: Conditions }) => Promise<unknown>
}

/** Who loses more races than this is up against something else than another process. */
const turns = 4

/**
 * Makes the object of an upload, in one step: as there is none, or in the place of one that was made to be read.
 * @throws UploadLost when it was committed or dropped by somebody else, or its blocks are gone
 */
export async function complete(store: AzureStore, id: string, { stage, last, make }: Completion): Promise<void> {
  const key = ownKey(id)
  let conditions: Conditions = { ifNoneMatch: '*' }
  for (let turn = 1; ; turn++) {
    try {
      await make(key, { labels: { stage, last }, conditions })
      return
    } catch (error) {
      if (codeOf(error) === 'InvalidBlockList') throw new UploadLost({ cause: error })
      if (!isConflict(error) || turn === turns) throw error
    }
    const found = await store.find(key)
    const there = found === undefined ? undefined : madeFor(found.labels)
    if (there?.stage === stage && there.last === last) return
    if (there !== undefined && there.stage !== 'read') throw new UploadLost()
    conditions = found === undefined ? { ifNoneMatch: '*' } : { ifMatch: found.etag }
  }
}

/** Makes the object of the blocks in a list. @throws UploadLost, as `complete` does */
export async function completeBlocks(
  store: AzureStore,
  id: string,
  { stage, ids }: { stage: Stage; ids: readonly string[] },
): Promise<void> {
  await complete(store, id, {
    stage,
    last: ids.at(-1) ?? '',
    make: (key, settings) => store.commit(key, ids, settings),
  })
}

/** Whether an upload has an object that ends it: one that was not just made to be read. */
export async function isOver(store: AzureStore, id: string): Promise<boolean> {
  const found = await store.find(ownKey(id))
  return found !== undefined && madeFor(found.labels).stage !== 'read'
}

/**
 * Drops what there is of an upload that is not committed; of one that is, only its mark. Blocks can't be deleted, but
 * an object of none of them takes them away (they would go by themselves after a week without another block): after it
 * nothing can be committed any more.
 */
export async function drop(store: AzureStore, id: string): Promise<void> {
  if ((await store.find(markOf(id))) === undefined) return
  try {
    await completeBlocks(store, id, { stage: 'dropped', ids: [] })
    const dropped = await store.find(ownKey(id))
    // Not whatever stands there when a request is repeated: its blocks may have come late, and be committed by then.
    if (dropped !== undefined && madeFor(dropped.labels).stage === 'dropped')
      await store.deleteExactly(ownKey(id), dropped.etag)
  } catch (error) {
    if (!(error instanceof UploadLost)) throw error
  }
  await store.delete([markOf(id)])
}

function madeFor({ stage = '', last = '' }: Record<string, string>): { stage: string; last: string } {
  return { stage, last }
}
