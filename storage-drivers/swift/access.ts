import type { SwiftOptions } from './options.ts'

/** What a login needs to know. */
export type LoginOptions = Pick<SwiftOptions, 'auth' | 'region' | 'endpointType' | 'storageUrl'>

/** What a login gives. */
export interface Login {
  token: string
  /** The URL of the account, without a slash at its end. */
  storageUrl: string
  /** Milliseconds for which the token is good, from now on, where the login tells. */
  lifeMs: number | undefined
}

/** The token that all requests of a driver share. */
export interface Access {
  /** The token of now; logs in where there is none, or where it has run out. @throws what the login fails with */
  get(): Promise<Login>
  /** Another token than the one that was refused; whoever asks meanwhile waits for the same login. */
  renew(refused: Login): Promise<Login>
}

/** Milliseconds within which a login has to answer: many may wait for it. */
export const loginMs = 10_000

/** So long before its end a token is renewed, or a quarter of its life if that is less. */
const earlyMs = 5 * 60_000

export function createAccess(login: () => Promise<Login>): Access {
  let current: { login: Login; renewAt: number; endsAt: number } | undefined
  let underWay: Promise<Login> | undefined

  async function logIn(): Promise<Login> {
    const asked = performance.now()
    const login_ = await login()
    const { lifeMs = Infinity } = login_
    const endsAt = asked + lifeMs
    current = { login: login_, renewAt: endsAt - Math.min(earlyMs, lifeMs / 4), endsAt }
    return login_
  }

  function shared(): Promise<Login> {
    underWay ??= logIn().finally(() => (underWay = undefined))
    return underWay
  }

  return {
    async get() {
      const now = performance.now()
      if (current === undefined || now >= current.endsAt) return shared()
      // Nobody waits for it, and should it fail, there is time for another.
      if (now >= current.renewAt) shared().catch(() => {})
      return current.login
    },
    async renew(refused) {
      return current === undefined || current.login === refused ? shared() : current.login
    },
  }
}
