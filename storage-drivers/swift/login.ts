import { unwanted } from './answers.ts'
import { type Login, loginMs, type LoginOptions } from './access.ts'
import type { Http } from './http.ts'
import { keystone2, keystone3 } from './keystone.ts'
import type { SwiftAuth } from './options.ts'
import { noLogin } from './sentences.ts'

/**
 * Logs in, by the version of the API that the options tell.
 * @throws UnwantedAnswer; for what the login answered and is of no use, a sentence for the operator
 */
export async function logIn(http: Http, options: LoginOptions): Promise<Login> {
  const found = await byVersion(http, options)
  return { ...found, storageUrl: (options.storageUrl ?? found.storageUrl).replace(/\/+$/, '') }
}

function byVersion(http: Http, options: LoginOptions): Promise<Login> {
  const version = versionOf(options.auth)
  switch (version) {
    case 1:
      return version1(http, options.auth)
    case 2:
      return keystone2(http, options)
    case 3:
      return keystone3(http, options)
    default:
      return version satisfies never
  }
}

/**
 * The version that is told, else the one in the path of the URL; a URL without one is Keystone's where something is
 * given that only Keystone knows.
 */
export function versionOf(auth: SwiftAuth): 1 | 2 | 3 {
  if (auth.version !== undefined) return auth.version
  const path = new URL(auth.url).pathname
  const told = ([1, 2, 3] as const).find(version => new RegExp(`/v${version}(\\.\\d+)?(/|$)`).test(path))
  if (told !== undefined) return told
  const { userId, tenant, tenantId, domain, domainId, tenantDomain, tenantDomainId, trustId } = auth
  const ofKeystone = [userId, tenant, tenantId, domain, domainId, tenantDomain, tenantDomainId, trustId]
  return auth.applicationCredential === undefined && ofKeystone.every(value => value === undefined) ? 1 : 3
}

/** Swift's own (TempAuth) and radosgw's: two headers there, two headers back. */
async function version1(http: Http, { url, username = '', password = '' }: SwiftAuth): Promise<Login> {
  const request = {
    method: 'GET',
    url,
    headers: { 'x-auth-user': username, 'x-auth-key': password },
    answerMs: loginMs,
  } as const
  const answer = await http.send(request)
  if (answer.status !== 200 && answer.status !== 204) throw await unwanted(request, answer)
  await answer.dump()
  const [token, storageUrl] = [answer.header('x-auth-token'), answer.header('x-storage-url')]
  if (token === undefined || storageUrl === undefined) throw noLogin(url, 1)
  const seconds = Number(answer.header('x-auth-token-expires') ?? NaN)
  return { token, storageUrl, lifeMs: Number.isNaN(seconds) ? undefined : seconds * 1000 }
}
