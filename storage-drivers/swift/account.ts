import { StorageUnavailable } from '../driver.ts'
import type { Access } from './access.ts'
import { unwanted } from './answers.ts'
import type { Http, HttpAnswer, HttpRequest } from './http.ts'
import { mayPass, repeating } from './retries.ts'

/** Requests to the account, with the token of now, and repeated while what they fail with may pass. */
export interface Account {
  /**
   * @param wanted the statuses that are no failure
   * @throws UnwantedAnswer, or what kept the server from answering; StorageUnavailable, with that as its cause, where it
   *   did not pass in time
   */
  ask(request: AccountRequest, wanted: readonly number[]): Promise<HttpAnswer>
  /** The same, for an answer whose body says nothing. */
  tell(request: AccountRequest, wanted: readonly number[]): Promise<HttpAnswer>
  /** The URL of now. */
  url(): Promise<string>
}

export interface AccountRequest extends Omit<HttpRequest, 'url'> {
  /** Behind the URL of the account: '' is the account itself. */
  path: string
  /** Milliseconds for which it is repeated. */
  patienceMs?: number
}

export function createAccount({ http, access }: { http: Http; access: Access }): Account {
  async function once({ path, ...rest }: AccountRequest, wanted: readonly number[]): Promise<HttpAnswer> {
    let login = await access.get()
    for (let renewed = false; ; renewed = true) {
      const request = {
        ...rest,
        url: login.storageUrl + path,
        headers: { ...rest.headers, 'x-auth-token': login.token },
      }
      const answer = await http.send(request)
      if (wanted.includes(answer.status)) return answer
      if (answer.status !== 401 || renewed) throw await unwanted(request, answer)
      await answer.dump()
      login = await access.renew(login)
    }
  }

  async function ask({ patienceMs, ...request }: AccountRequest, wanted: readonly number[]): Promise<HttpAnswer> {
    try {
      return await repeating(() => once(request, wanted), patienceMs)
    } catch (error) {
      throw patienceMs === undefined && mayPass(error) ? new StorageUnavailable({ cause: error }) : error
    }
  }

  return {
    ask,
    async tell(request, wanted) {
      const answer = await ask(request, wanted)
      await answer.dump()
      return answer
    },
    url: async () => (await access.get()).storageUrl,
  }
}
