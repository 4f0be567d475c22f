import { RateLimiterMemory } from 'rate-limiter-flexible'
import { RegistryError } from '../oci/errors.ts'

/**
 * Slows down whoever guesses passwords: failures count for a name from one address, and for an address. Whoever shows
 * the right password from elsewhere, or one that this process knows to be right, is not kept waiting by a stranger.
 */
export interface LoginLimits {
  /**
   * Lets someone try a password. One after another for a name from one address, so that no one tries many before the
   * first has failed.
   * @param isRight whether the password is the right one; asked only of those who need not wait
   * @returns what it said @throws RegistryError TOOMANYREQUESTS with Retry-After; what `isRight` throws, which counts as nothing
   */
  attempt(name: string, address: string, isRight: () => Promise<boolean>): Promise<boolean>
  /** @throws RegistryError TOOMANYREQUESTS with Retry-After while this pair or this address has to wait */
  check(name: string, address: string): Promise<void>
  failed(name: string, address: string): Promise<void>
  succeeded(name: string, address: string): Promise<void>
}

/** Failures are forgotten so long after the first of them. */
const forgetSeconds = 15 * 60
/** So many are free; each one more doubles the time to wait, up to a minute. */
const freeOfName = 5
const freeOfAddress = 50
const longestSeconds = 60
/** Passwords of one address that wait at once to be looked at; the rest of the queue is for others. */
const mostAtOnce = 100
/** A name is remembered by so much of it. */
const nameLength = 300

/** Counted by each process for itself. */
export function createLoginLimits(): LoginLimits {
  const failures = new RateLimiterMemory({ keyPrefix: 'failures', points: 1e9, duration: forgetSeconds })
  const waits = new RateLimiterMemory({ keyPrefix: 'waits', points: 1, duration: longestSeconds })
  const turns = new Map<string, Promise<unknown>>()
  const underWay = new Map<string, number>()

  async function note(key: string, free: number): Promise<void> {
    const { consumedPoints } = await failures.penalty(key)
    const over = consumedPoints - free
    if (over >= 0) await waits.block(key, Math.min(2 ** Math.min(over, 10), longestSeconds))
  }

  const limits: LoginLimits = {
    async attempt(name, address, isRight) {
      const [pair, network] = [pairOf(name, address), networkOf(address)]
      const running = underWay.get(network) ?? 0
      if (running >= mostAtOnce) throw tooMany(1)
      underWay.set(network, running + 1)
      const turn = (turns.get(pair) ?? Promise.resolve()).then(async () => {
        await limits.check(name, address)
        const right = await isRight()
        await (right ? limits.succeeded(name, address) : limits.failed(name, address))
        return right
      })
      const over = turn.catch(() => {})
      turns.set(pair, over)
      try {
        return await turn
      } finally {
        if (turns.get(pair) === over) turns.delete(pair)
        const left = (underWay.get(network) ?? 1) - 1
        if (left === 0) underWay.delete(network)
        else underWay.set(network, left)
      }
    },

    async check(name, address) {
      const found = await Promise.all([waits.get(pairOf(name, address)), waits.get(networkOf(address))])
      const ms = Math.max(0, ...found.map(wait => wait?.msBeforeNext ?? 0))
      if (ms > 0) throw tooMany(Math.ceil(ms / 1000))
    },

    async failed(name, address) {
      await Promise.all([note(pairOf(name, address), freeOfName), note(networkOf(address), freeOfAddress)])
    },

    async succeeded(name, address) {
      await Promise.all([failures.delete(pairOf(name, address)), waits.delete(pairOf(name, address))])
    },
  }
  return limits
}

function tooMany(seconds: number): RegistryError {
  return new RegistryError('TOOMANYREQUESTS', {
    message: 'too many wrong passwords; wait before you try again',
    headers: { 'retry-after': String(seconds) },
  })
}

function pairOf(name: string, address: string): string {
  return `${networkOf(address)} ${name.slice(0, nameLength)}`
}

/** Who has one IPv6 address has all of its 64 bits (RFC 6177), and is counted by the other 64. */
function networkOf(address: string): string {
  const inside = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  if (inside !== undefined || !address.includes(':')) return inside ?? address
  const [head = [], tail] = address.split('::').map(part => part.split(':').filter(word => word !== ''))
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - head.length - tail.length)
  const words = [...head, ...Array<string>(zeros).fill('0'), ...(tail ?? [])]
  return words
    .slice(0, 4)
    .map(word => word.replace(/^0+(?=.)/, ''))
    .join(':')
}
