import { type Answer, ask, type AskOptions } from '../../conformance/http.ts'
import { statement } from '../../server/metadata/database.ts'
import { type Content, image } from './images.ts'
import type { TestRegistry } from './registry.ts'

/** The registry's own API in someone's name. */

export function basic(name: string, secret: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}` }
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

/** What the token service gave. */
export interface Given {
  token: string
  access_token: string
  token_type: string
  expires_in: number
  issued_at: string
  scope?: string
  refresh_token?: string
}

/** Asks the token service by GET. @throws Error when it refuses */
export async function tokenOf(
  url: string,
  headers: Record<string, string>,
  { scope, ...parameters }: Record<string, string | readonly string[]> = {},
): Promise<Given> {
  const query = new URLSearchParams({ service: 'berth' })
  for (const [name, value] of Object.entries(parameters)) query.set(name, String(value))
  for (const one of [scope ?? []].flat()) query.append('scope', one)
  const { status, body } = await ask(`${url}/v2/auth?${query.toString()}`, { headers })
  if (status !== 200) throw new Error(`no token: ${status} ${body.toString()}`)
  return JSON.parse(body.toString())
}

/** The actions that a token is good for, by repository; nothing of the signature is looked at. */
export function grantsOf(token: string): Record<string, string[]> {
  const { access } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return Object.fromEntries(access.map((entry: { name: string; actions: string[] }) => [entry.name, entry.actions]))
}

/** Pushes an image under the tag `1`. @returns its manifest @throws Error with the refusal */
export async function pushImage(url: string, headers: Record<string, string>, name: string): Promise<Content> {
  const { manifest, blobs } = image()
  for (const { bytes, digest } of blobs)
    await expected(201, `${url}/v2/${name}/blobs/uploads/?digest=${digest}`, { method: 'POST', headers, body: bytes })
  await expected(201, `${url}/v2/${name}/manifests/1`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': manifest.mediaType },
    body: manifest.bytes,
  })
  return manifest
}

async function expected(status: number, url: string, options: AskOptions): Promise<Answer> {
  const answer = await ask(url, options)
  if (answer.status !== status) throw new Error(`${options.method} ${url}: ${answer.status} ${answer.body.toString()}`)
  return answer
}

const visibility = statement('test.visibility', 'update repositories set visibility = $2 where name = $1')

export async function makePublic({ database }: TestRegistry, name: string): Promise<void> {
  if ((await database.change(visibility, [name, 'public'])) !== 1) throw new Error(`there is no ${name}`)
}

/** `401 UNAUTHORIZED`, the status with the first code of the envelope. */
export function outcome({ status, body }: Answer): string {
  if (status < 400) return String(status)
  const code: unknown = JSON.parse(body.toString() || '{}').errors?.[0]?.code
  return `${status} ${String(code)}`
}
