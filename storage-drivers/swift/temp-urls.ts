import { createHmac, randomBytes, randomUUID, scrypt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { OutOfSpace, type SignOptions } from '../driver.ts'
import type { Account } from './account.ts'
import { statusOf } from './answers.ts'
import type { Http } from './http.ts'
import type { SwiftInfo } from './info.ts'
import type { SwiftOptions } from './options.ts'
import { inHaste } from './retries.ts'
import { uselessTempUrls } from './sentences.ts'
import type { SwiftStore } from './store.ts'

/** Temporary URLs (https://docs.openstack.org/swift/latest/api/temporary_url_middleware.html). */
export interface TempUrls {
  sign(name: string, options: SignOptions): string
}

interface TempUrlOptions extends Pick<SwiftOptions, 'auth' | 'tempUrl' | 'container'> {
  http: Http
  account: Account
  store: SwiftStore
  info: SwiftInfo
}

/** An operator may change the key: it is read again after so long. */
const readAgainMs = 60_000
/** Proxies that do not share their memory learn of a new key a moment later. */
const attempts = { times: 4, pauseMs: 500 }
/** About 0.2 s, once in the life of an account. */
const scryptCost = { N: 2 ** 16, r: 8, p: 1, maxmem: 2 ** 27 }

/**
 * Finds the key that signs URLs, or sets one where there is none, and tries it.
 * @returns undefined where this Swift offers no such URLs, or none to this user
 * @throws a sentence for the operator, where a key was chosen in the settings and Swift does not take it
 */
export async function openTempUrls(options: TempUrlOptions): Promise<TempUrls | undefined> {
  const { http, account, store, info, container, tempUrl } = options
  if (!(tempUrl.methods ?? info.tempUrl.methods).includes('GET')) return undefined
  const digest = digestOf(info.tempUrl.digests)
  if (digest === undefined) return undefined
  const keys = keysOf(account, tempUrl.containerKey ? container : undefined)
  const storageUrl = await account.url()
  let key = tempUrl.key ?? (await keys.findOrSet(() => newKey(options, storageUrl)))
  if (key === undefined) return undefined
  let readAt = performance.now()

  function sign(name: string, { expiresMs, endpoint }: SignOptions): string {
    const path = new URL(storageUrl).pathname + store.pathOf(name)
    const expires = Math.ceil((Date.now() + expiresMs) / 1000)
    const signed = createHmac(digest ?? '', key ?? '').update(`GET\n${expires}\n${decodeURIComponent(path)}`)
    readAgain()
    const origin = new URL(endpoint ?? storageUrl).origin
    return `${origin}${path}?temp_url_sig=${signed.digest('hex')}&temp_url_expires=${expires}`
  }

  function readAgain(): void {
    if (tempUrl.key !== undefined || performance.now() - readAt < readAgainMs) return
    readAt = performance.now()
    keys.read().then(
      found => {
        if (key === undefined || !found.includes(key)) key = found[0] ?? key
      },
      () => {},
    )
  }

  /** Whether an object can be had by its URL and nothing else. */
  async function works(): Promise<boolean> {
    const name = `check/${randomUUID()}`
    const body = randomBytes(8).toString('hex')
    try {
      await store.put(name, Buffer.from(body), { deleteAfter: 3600, ...inHaste })
    } catch (error) {
      // What is full can be read all the same.
      if (error instanceof OutOfSpace) return true
      throw error
    }
    try {
      for (let time = 1; time <= attempts.times; time++) {
        if (time > 1) await sleep(attempts.pauseMs)
        const answer = await http.send({
          method: 'GET',
          url: sign(name, { expiresMs: 600_000 }),
          answerMs: inHaste.answerMs,
        })
        const text = await answer.text()
        if (answer.status === 200) return text === body
      }
      return false
    } finally {
      await store.delete([name])
    }
  }

  if (await works()) return { sign }
  if (tempUrl.key !== undefined) throw uselessTempUrls('storage.swift.secretkey')
  if (tempUrl.containerKey) throw uselessTempUrls('the container, which storage.swift.tempurlcontainerkey chooses')
  return undefined
}

/** The keys of a container, or of the account. */
function keysOf(account: Account, container: string | undefined) {
  const path = container === undefined ? '' : `/${encodeURIComponent(container)}`
  const header = `x-${container === undefined ? 'account' : 'container'}-meta-temp-url-key`

  /** Swift has room for two of them, so that one can be changed while the other is good. */
  async function read(): Promise<string[]> {
    const answer = await account.tell({ method: 'HEAD', path, ...inHaste }, [200, 204])
    return [answer.header(header), answer.header(`${header}-2`)].flatMap(key =>
      key === undefined || key === '' ? [] : [key],
    )
  }

  return {
    read,
    /** Undefined where the user may not. */
    async findOrSet(make: () => Promise<string>): Promise<string | undefined> {
      try {
        const [found] = await read()
        if (found !== undefined) return found
        const headers = { [header]: await make() }
        await account.tell({ method: 'POST', path, headers, ...inHaste }, [200, 201, 202, 204])
        // Someone else may have set another one.
        return (await read())[0]
      } catch (error) {
        if (statusOf(error) === 401 || statusOf(error) === 403) return undefined
        throw error
      }
    },
  }
}

/**
 * A key that all processes with the same settings make alike: Swift has nothing by which those that start at once could
 * agree on a random one, and the last to set its own would break the URLs of the others. Who may read the key of an
 * account learns as little of the password as of a hash in a file of passwords.
 */
async function newKey({ auth, container, tempUrl }: TempUrlOptions, storageUrl: string): Promise<string> {
  const secret = auth.applicationCredential?.secret ?? auth.password ?? randomBytes(24).toString('hex')
  const place = new URL(storageUrl).pathname + (tempUrl.containerKey ? `/${container}` : '')
  const derive = promisify<string, string, number, typeof scryptCost, Buffer>(scrypt)
  return (await derive(secret, `Berth's temporary URLs of ${place}`, 24, scryptCost)).toString('hex')
}

/** Servers that tell of no sums know the oldest. */
function digestOf(allowed: readonly string[]): string | undefined {
  return allowed.length === 0 ? 'sha1' : ['sha256', 'sha512', 'sha1'].find(digest => allowed.includes(digest))
}
