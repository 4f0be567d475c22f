/** What tests ask of a registry again and again. Each fails when the answer is not the usual one. */
import { type Content, type Image } from '../../helpers/images.ts'

/** Pushes a blob in one request. */
export async function pushBlob(url: string, repository: string, { digest, bytes }: Content): Promise<void> {
  const response = await fetch(`${url}/v2/${repository}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: new Uint8Array(bytes),
  })
  await expectStatus(response, 201)
}

/** A PUT of a manifest under its own media type, whatever comes of it. */
export function putManifest(
  url: string,
  repository: string,
  reference: string,
  { bytes, mediaType, headers = {} }: Pick<Content, 'bytes' | 'mediaType'> & { headers?: Record<string, string> },
): Promise<Response> {
  return fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': mediaType, ...headers },
    body: new Uint8Array(bytes),
  })
}

/** Pushes a manifest that must be taken. @returns the response, whose body is read */
export async function pushManifest(
  url: string,
  repository: string,
  reference: string,
  manifest: Content,
): Promise<Response> {
  const response = await putManifest(url, repository, reference, manifest)
  await expectStatus(response, 201)
  return response
}

/** Pushes an image as clients do: its blobs, then its manifest, under a tag or its digest. */
export async function pushImage(
  url: string,
  repository: string,
  { blobs, manifest }: Pick<Image, 'blobs' | 'manifest'>,
  reference: string = manifest.digest,
): Promise<Response> {
  for (const blob of blobs) await pushBlob(url, repository, blob)
  return pushManifest(url, repository, reference, manifest)
}

/** The status alone; the body is read away, so that the connection is free again. */
export async function statusOf(url: string, init?: RequestInit): Promise<number> {
  const response = await fetch(url, init)
  await response.arrayBuffer()
  return response.status
}

/** The digest that a reference leads to now, or undefined for 404. */
export async function digestAt(url: string, repository: string, reference: string): Promise<string | undefined> {
  const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD' })
  if (response.status === 404) return undefined
  await expectStatus(response, 200)
  return response.headers.get('docker-content-digest') ?? undefined
}

/** One entry of the error envelope. */
export interface ErrorEntry {
  code: string
  message?: string
  detail?: unknown
}

/** The entries of an answer's error envelope. @throws Error when it has none of the form that the specification gives */
export async function errorsOf(response: Response): Promise<ErrorEntry[]> {
  return errorEntries(await response.text())
}

/** The same of a body that was read already. */
export function errorEntries(text: string): ErrorEntry[] {
  const body: unknown = JSON.parse(text)
  if (!isRecord(body) || !Array.isArray(body['errors']) || body['errors'].length === 0)
    throw new Error(`no error envelope: ${text.slice(0, 300)}`)
  return body['errors'].map((entry: unknown) => {
    if (!isRecord(entry)) throw new Error(`an error is an object: ${text.slice(0, 300)}`)
    const { code, message, detail, ...rest } = entry
    if (
      typeof code !== 'string' ||
      !/^[A-Z_]+$/.test(code) ||
      typeof message !== 'string' ||
      Object.keys(rest).length > 0
    )
      throw new Error(`not an entry of the error envelope: ${JSON.stringify(entry).slice(0, 300)}`)
    return { code, message, detail }
  })
}

/** `status CODE CODE`: what a table of expected refusals is compared with. */
export async function refusalOf(response: Response): Promise<string> {
  const errors = await errorsOf(response)
  return [response.status, ...errors.map(({ code }) => code)].join(' ')
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function expectStatus(response: Response, status: number): Promise<void> {
  const text = await response.text()
  if (response.status !== status)
    throw new Error(`${response.url} answered ${response.status} instead of ${status}: ${text.slice(0, 300)}`)
}
