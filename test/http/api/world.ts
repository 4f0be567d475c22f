import type { Test } from 'tap'
import {
  type AccountsOptions,
  type AccountsRegistry,
  type Answer,
  type ApiClient,
  createClient,
  field,
  makeSession,
  password,
  startWithAccounts,
} from '../../helpers/accounts.ts'
import { basic, type Login } from '../../helpers/docker.ts'
import { type Content, type Image, image } from '../../helpers/images.ts'

/** A private repository `team/app` of an organization, and everyone who has, or has not, to do with it. */
export interface World extends AccountsRegistry {
  clients: Record<Who, ApiClient>
  /** Of the robot, which may pull alone. */
  robot: Login
  /** What is in `team/app` as `latest`. */
  content: Image
}

export const everyone = ['owner', 'writer', 'reader', 'stranger', 'superuser', 'auditor', 'nobody'] as const
export type Who = (typeof everyone)[number]

/** How a user logs in for docker. */
export const loginOf = (name: string): Login => [name, password]

/** `superuser` is `admin`; `auditor` reads all and writes nothing; `nobody` has no account. */
export async function startWorld(t: Test, { accounts, ...options }: AccountsOptions = {}): Promise<World> {
  const registry = await startWithAccounts(t, {
    ...options,
    accounts: { readonlysuperusers: ['auditor'], ...accounts },
  })
  const owner = await makeSession(registry, 'owner')
  const clients = {
    owner,
    writer: await makeSession(registry, 'writer'),
    reader: await makeSession(registry, 'reader'),
    stranger: await makeSession(registry, 'stranger'),
    superuser: registry.admin,
    auditor: await makeSession(registry, 'auditor'),
    nobody: createClient(registry.url),
  }
  await expecting(201, owner.post('/organization/', { name: 'team', email: 'team@example.com' }))
  await expecting(201, owner.post('/repository', { ...newRepository, namespace: 'team', repository: 'app' }))
  const permissions = '/repository/team/app/permissions/user'
  await expecting(200, owner.put(`${permissions}/writer`, { role: 'write' }))
  await expecting(200, owner.put(`${permissions}/reader`, { role: 'read' }))
  const { body } = await expecting(201, owner.put('/organization/team/robots/puller', { description: '' }))
  await expecting(200, owner.put(`${permissions}/team+puller`, { role: 'read' }))
  const content = image()
  await pushAs(registry.url, loginOf('owner'), 'team/app', content, 'latest')
  return Object.assign(registry, { clients, robot: ['team+puller', String(field(body, 'token'))] as const, content })
}

export const newRepository = { visibility: 'private', description: '' }

/** @throws Error when the answer has another status */
export async function expecting(status: number, asked: Promise<Answer>): Promise<Answer> {
  const answer = await asked
  if (answer.status !== status)
    throw new Error(`${answer.status} in place of ${status}: ${JSON.stringify(answer.body)}`)
  return answer
}

/** The rows of a list in a body, each as some of its fields, with spaces between. */
export function rowsOf(body: unknown, list: string, ...fields: string[]): string[] {
  const rows = field(body, list)
  if (!Array.isArray(rows)) throw new Error(`no list ${list}: ${JSON.stringify(body)}`)
  return rows.map(row => fields.map(name => String(field(row, name))).join(' '))
}

/** The status that each of these gets. */
export async function statusesOf(
  clients: Record<Who, ApiClient>,
  ask: (client: ApiClient, who: Who) => Promise<Answer>,
): Promise<Record<Who, number>> {
  const statuses: [Who, number][] = []
  for (const who of everyone) statuses.push([who, (await ask(clients[who], who)).status])
  return Object.fromEntries(statuses) as Record<Who, number>
}

/** Pushes an image with the credentials of a docker login. @throws Error when anything of it is refused */
export async function pushAs(
  url: string,
  login: Login,
  repository: string,
  { blobs, manifest }: Pick<Image, 'blobs' | 'manifest'>,
  tag: string = manifest.digest,
): Promise<void> {
  for (const blob of blobs) {
    const path = `${url}/v2/${repository}/blobs/uploads/?digest=${blob.digest}`
    await taken(path, { method: 'POST', headers: basic(login), body: new Uint8Array(blob.bytes) })
  }
  await pushManifestAs(url, login, repository, manifest, tag)
}

/** Pushes a manifest alone. */
export async function pushManifestAs(
  url: string,
  login: Login,
  repository: string,
  { bytes, mediaType }: Content,
  reference: string,
): Promise<void> {
  const headers = { ...basic(login), 'content-type': mediaType }
  await taken(`${url}/v2/${repository}/manifests/${reference}`, { method: 'PUT', headers, body: new Uint8Array(bytes) })
}

async function taken(url: string, init: RequestInit): Promise<void> {
  const response = await fetch(url, init)
  const text = await response.text()
  if (response.status !== 201) throw new Error(`not pushed: ${response.status} ${text}`)
}

/** The status of a GET below `/v2/`. */
export async function pull(url: string, login: Login | undefined, path: string): Promise<number> {
  const response = await fetch(`${url}/v2/${path}`, { headers: login === undefined ? {} : basic(login) })
  await response.arrayBuffer()
  return response.status
}
