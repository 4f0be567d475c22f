import type { Account } from './account.ts'
import { UnwantedAnswer } from './answers.ts'
import { inHaste } from './retries.ts'
import { foreign, missing, noSwift, type Place } from './sentences.ts'

/** Finds the container, or makes it where that is wanted. @throws a sentence for the operator, or what Swift answered */
export async function prepareContainer(
  account: Account,
  { create, ...place }: Place & { create: boolean },
): Promise<void> {
  const path = `/${encodeURIComponent(place.container)}`
  const answer = await account.tell({ method: 'HEAD', path, ...inHaste }, [200, 204, 404])
  if (answer.status !== 404) {
    if (answer.header('x-container-object-count') === undefined) throw noSwift(place.url)
    return
  }
  if (!create) throw missing(place)
  // A Swift that was asked for nothing else answers so; what is none has no account to make a container in.
  await account.tell({ method: 'PUT', path, ...inHaste }, [201, 202, 204]).catch((error: unknown) => {
    if (!(error instanceof UnwantedAnswer)) throw error
    if (error.status === 404) throw noSwift(place.url, error)
    // One name for all users: radosgw.
    throw error.status === 409 ? foreign(place, error) : error
  })
}
