import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { Piscina } from 'piscina'
import { RegistryError } from '../oci/errors.ts'
import type { PasswordOrder } from './password-thread.ts'

/** Passwords and their bcrypt hashes. To compute one takes long, and is done beside the requests. */
export interface Passwords extends AsyncDisposable {
  /** @throws RegistryError UNAVAILABLE when too many wait already */
  hash(password: string): Promise<string>
  /**
   * Whether a password has this hash. It takes as long where there is no hash (no such user), so that the time does not
   * tell. A pair that was right once is remembered, for as long as this process runs and the hash is the same.
   * @throws RegistryError UNAVAILABLE when too many wait already
   */
  verify(password: string, hash: string | undefined): Promise<boolean>
  /** Whether the pair is remembered as right. Costs an HMAC. */
  isKnown(password: string, hash: string): boolean
}

/** bcrypt's logarithm of rounds: some 60 ms of a core. */
const usualCost = 10
/** Right pairs that are remembered, as an HMAC whose key no one knows. */
const remembered = 20_000
/** Passwords that wait to be looked at; who comes beyond them is told to come back. */
const mostWaiting = 200
/** A thread that has nothing to do ends after so long; the first password then waits for another, some 50 ms. */
const idleMs = 60_000

/** @param options.cost of new hashes; what is safe when left out */
export function createPasswords({ cost = usualCost }: { cost?: number | undefined } = {}): Passwords {
  // The hash of no password, for users that are not there.
  const dummyHash = `$2b$${String(cost).padStart(2, '0')}$abcdefghijklmnopqrstuu${'.'.repeat(31)}`
  const key = randomBytes(32)
  const known = new LRUCache<string, true>({ max: remembered })
  const underWay = new Map<string, Promise<boolean>>()
  // One thread: whoever tries passwords by the thousand leaves the other cores to the rest.
  const threads = new Piscina<PasswordOrder, string | boolean>({
    filename: new URL('password-thread.ts', import.meta.url).href,
    name: 'work',
    minThreads: 0,
    maxThreads: 1,
    maxQueue: mostWaiting,
    idleTimeout: idleMs,
  })

  const nameOf = (password: string, hash: string) =>
    createHmac('sha256', key).update(password).update('\0').update(hash).digest('base64')

  async function run(order: PasswordOrder): Promise<string | boolean> {
    if (threads.queueSize >= mostWaiting)
      throw new RegistryError('UNAVAILABLE', {
        message: 'too many passwords are being checked; try again in a moment',
        headers: { 'retry-after': '5' },
      })
    return threads.run(order)
  }

  async function compare(password: string, hash: string, name: string): Promise<boolean> {
    const right = (await run({ kind: 'compare', password, hash })) === true
    if (right) known.set(name, true)
    return right
  }

  return {
    hash: async password => String(await run({ kind: 'hash', password, cost })),
    isKnown: (password, hash) => known.has(nameOf(password, hash)),

    async verify(password, hash) {
      if (hash === undefined) {
        await run({ kind: 'compare', password, hash: dummyHash })
        return false
      }
      const name = nameOf(password, hash)
      if (known.has(name)) return true
      // A client that comes with ten requests at once pays once.
      const running = underWay.get(name) ?? compare(password, hash, name).finally(() => underWay.delete(name))
      underWay.set(name, running)
      return running
    },

    [Symbol.asyncDispose]: () => threads.destroy(),
  }
}
