import { type Login, loginMs, type LoginOptions } from './access.ts'
import { unwanted } from './answers.ts'
import type { Http, HttpAnswer } from './http.ts'
import { listAt, parse, textAt } from './json.ts'
import type { SwiftAuth } from './options.ts'
import { noLogin } from './sentences.ts'

/** Version 3 of Keystone: a password or an application credential, for a project or by a trust. */
export async function keystone3(http: Http, options: LoginOptions): Promise<Login> {
  const url = `${rootOf(options.auth.url)}/v3/auth/tokens`
  const { answer, body } = await post(http, url, { auth: requestOf(options.auth) })
  const token = answer.header('x-subject-token')
  if (token === undefined) throw noLogin(url, 3)
  const endpoints = listAt(body, 'token', 'catalog')
    .filter(service => textAt(service, 'type') === 'object-store')
    .flatMap(service => listAt(service, 'endpoints'))
    .filter(endpoint => textAt(endpoint, 'interface') === options.endpointType)
    .map(endpoint => ({
      regions: [textAt(endpoint, 'region'), textAt(endpoint, 'region_id')],
      url: textAt(endpoint, 'url'),
    }))
  return {
    token,
    storageUrl: options.storageUrl ?? chosen(endpoints, options),
    lifeMs: lifeOf(textAt(body, 'token', 'expires_at'), textAt(body, 'token', 'issued_at'), answer),
  }
}

/** Version 2, which Keystone itself gave up in 2018: a password, for a tenant. */
export async function keystone2(http: Http, options: LoginOptions): Promise<Login> {
  const { username, password, tenant, tenantId } = options.auth
  const url = `${rootOf(options.auth.url)}/v2.0/tokens`
  const { answer, body } = await post(http, url, {
    auth: { passwordCredentials: { username, password }, tenantName: tenant, tenantId },
  })
  const token = textAt(body, 'access', 'token', 'id')
  if (token === undefined) throw noLogin(url, 2)
  const endpoints = listAt(body, 'access', 'serviceCatalog')
    .filter(service => textAt(service, 'type') === 'object-store')
    .flatMap(service => listAt(service, 'endpoints'))
    .map(endpoint => ({
      regions: [textAt(endpoint, 'region')],
      url: textAt(endpoint, `${options.endpointType}URL`),
    }))
  return {
    token,
    storageUrl: options.storageUrl ?? chosen(endpoints, options),
    lifeMs: lifeOf(textAt(body, 'access', 'token', 'expires'), textAt(body, 'access', 'token', 'issued_at'), answer),
  }
}

/** The URL without a version and what may stand behind it. */
function rootOf(url: string): string {
  return url.replace(/\/+$/, '').replace(/\/v[23](\.\d+)?(\/(auth\/)?tokens)?$/, '')
}

async function post(http: Http, url: string, body: unknown): Promise<{ answer: HttpAnswer; body: unknown }> {
  const request = {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
    answerMs: loginMs,
  } as const
  const answer = await http.send(request)
  if (answer.status !== 200 && answer.status !== 201) throw await unwanted(request, answer)
  return { answer, body: parse(await answer.text()) }
}

/** https://docs.openstack.org/api-ref/identity/v3/ ("Authentication and token management") */
function requestOf(auth: SwiftAuth): unknown {
  const { password, applicationCredential, tenant, tenantId, trustId } = auth
  const domain = domainOf(auth.domain, auth.domainId)
  const user = auth.userId === undefined ? { name: auth.username, domain } : { id: auth.userId }
  if (applicationCredential !== undefined) {
    const { id, name, secret } = applicationCredential
    const credential = id === undefined ? { name, user, secret } : { id, secret }
    // It has its project in itself.
    return { identity: { methods: ['application_credential'], application_credential: credential } }
  }
  const identity = { methods: ['password'], password: { user: { ...user, password } } }
  if (trustId !== undefined) return { identity, scope: { 'OS-TRUST:trust': { id: trustId } } }
  if (tenantId !== undefined) return { identity, scope: { project: { id: tenantId } } }
  if (tenant === undefined) return { identity }
  const { tenantDomain, tenantDomainId } = auth
  const own = tenantDomain === undefined && tenantDomainId === undefined
  return {
    identity,
    scope: { project: { name: tenant, domain: own ? domain : domainOf(tenantDomain, tenantDomainId) } },
  }
}

/** The domain `default` is the one that each Keystone begins with. */
function domainOf(name: string | undefined, id = name === undefined ? 'default' : undefined): unknown {
  return id === undefined ? { name } : { id }
}

interface Endpoint {
  regions: readonly (string | undefined)[]
  url: string | undefined
}

/** @throws a sentence for the operator, where the catalog has none that fits */
function chosen(endpoints: readonly Endpoint[], { auth, region, endpointType }: LoginOptions): string {
  const there = endpoints.filter(({ url }) => url !== undefined)
  const url = there.find(({ regions }) => region === undefined || regions.includes(region))?.url
  if (url !== undefined) return url
  if (there.length === 0) {
    const scope = auth.tenant ?? auth.tenantId
    throw new Error(
      `the catalog that Keystone gives ${scope === undefined ? 'without a project' : `for the project ${scope}`} has no ${endpointType} URL of an object store: correct storage.swift.tenant or storage.swift.endpointtype, or name the account's URL in storage.swift.storageurl`,
    )
  }
  const regions = [...new Set(there.flatMap(endpoint => endpoint.regions.filter(name => name !== undefined)))]
  throw new Error(
    `the region ${region} has no object store in Keystone's catalog: set storage.swift.region to one that has: ${regions.join(', ')}`,
  )
}

/** By Keystone's clocks alone: ours may be wrong. */
function lifeOf(expires: string | undefined, issued: string | undefined, answer: HttpAnswer): number | undefined {
  if (expires === undefined) return undefined
  const life = Date.parse(expires) - Date.parse(issued ?? answer.header('date') ?? '')
  return Number.isNaN(life) ? undefined : life
}
