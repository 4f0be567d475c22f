import type { Test } from 'tap'
import type { StorageDriver } from '../../../storage-drivers/driver.ts'
import type { Random } from '../../faults/random.ts'
import type { BadNetwork, CannedAnswer } from '../bad-network.ts'
import { closing, type OpenDriver } from '../contract.ts'

/** A real back end at the far side of a bad network, and the driver that is to get along with that. */
export interface BackEnd {
  network: BadNetwork
  /** Opens the driver on a place of its own, by way of the network: each call gives another instance. */
  open: OpenDriver
  /** Bytes of a part, as the driver is configured. */
  chunkSize: number
  /** What the heads of its requests fit. */
  heads: {
    /** Stores a part of an object. */
    part: RegExp
    /** Makes an object of parts. */
    commit: RegExp
  }
  /** What the back end says to a name or password that it does not take. */
  refusal: Omit<CannedAnswer, 'when' | 'times' | 'readBody'>
  /** Whether the driver logs in for a token, which it gets anew when it is refused. */
  tokens: boolean
  /** Ends the server as a crash does, where a crash leaves what it has stored. */
  crash?: () => Promise<Crashed>
}

export interface Crashed {
  /** Starts it again, on the same port; resolves when it answers. */
  restart: () => Promise<void>
}

/** A back end with a driver that is open; both end with the test. */
export interface Scene extends BackEnd {
  driver: StorageDriver
  random: Random
}

/** Adds a test to the suite. */
export type AddTest = (title: string, check: (t: Test, scene: Scene) => Promise<void>) => void

const writeSize = 256 * 1024

/** Stores bytes as the body of a request brings them. @returns the key */
export async function store(driver: StorageDriver, bytes: Buffer): Promise<string> {
  await using session = closing(await driver.createUpload())
  for (let at = 0; at < bytes.length; at += writeSize) await session.write([bytes.subarray(at, at + writeSize)])
  return await session.commit('blobs/faulty')
}
