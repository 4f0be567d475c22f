/** What clients of a registry do, as requests on one connection. */
import { createHash } from 'node:crypto'
import { type Answer, type Connection, headerOf } from './connection.ts'
import type { Content } from './content.ts'

/** How the bytes of a blob are sent: by PATCH in either encoding, in the PUT that ends the upload, or in one POST. */
export type UploadWay = 'chunked' | 'length' | 'put' | 'post'

const noBody = 'Content-Length: 0\r\n'
const binary = 'Content-Type: application/octet-stream\r\n'

/** Uploads a blob. @throws Error when the server takes no uploads in one POST, or answers anything but success */
export async function uploadBlob(
  connection: Connection,
  repository: string,
  content: Content,
  way: UploadWay,
): Promise<void> {
  const start = `/v2/${repository}/blobs/uploads/`
  const plain = { headers: `${binary}Content-Length: ${content.size}\r\n`, body: content.plain() }
  if (way === 'post') {
    await connection.expect('201', { method: 'POST', path: `${start}?digest=${content.digest}`, ...plain })
    return
  }
  const begun = await connection.expect('202', { method: 'POST', path: start, headers: noBody })
  if (way === 'put') {
    await connection.expect('201', { method: 'PUT', path: finishPath(connection, begun, content), ...plain })
    return
  }
  const chunked = { headers: `${binary}Transfer-Encoding: chunked\r\n`, body: content.chunked() }
  const sent = await connection.expect('202', {
    method: 'PATCH',
    path: locationOf(connection, begun),
    ...(way === 'chunked' ? chunked : plain),
  })
  const path = finishPath(connection, sent, content)
  await connection.expect('201', { method: 'PUT', path, headers: noBody })
}

/** Whether a server takes a blob in one POST: the specification lets it answer 202 and wait for a PUT. */
export async function takesSinglePost(connection: Connection, repository: string, content: Content): Promise<boolean> {
  const path = `/v2/${repository}/blobs/uploads/?digest=${content.digest}`
  const headers = `${binary}Content-Length: ${content.size}\r\n`
  return (await connection.expect('201 202', { method: 'POST', path, headers, body: content.plain() })).status === 201
}

/** Where an upload goes on: path and query of the answer's `Location`. */
export function locationOf({ target }: Connection, answer: Answer): string {
  const location = headerOf(answer, 'location')
  if (location === undefined) throw new Error(`${target.name} told no Location for an upload`)
  return location.replace(/^https?:\/\/[^/]+/, '')
}

function finishPath(connection: Connection, answer: Answer, { digest }: Content): string {
  const location = locationOf(connection, answer)
  return `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
}

export const manifestType = 'application/vnd.oci.image.manifest.v1+json'

export interface Manifest {
  bytes: Buffer
  digest: string
}

/** A manifest of an image with one layer; `note` makes it differ from others. */
export function manifestOf(config: Content, layer: Content, note: string): Manifest {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config.digest, size: config.size },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: layer.digest, size: layer.size }],
      annotations: { 'org.opencontainers.image.title': note },
    }),
  )
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

/** Puts a manifest under a tag or its digest. */
export async function putManifest(
  connection: Connection,
  repository: string,
  reference: string,
  { bytes }: Manifest,
): Promise<void> {
  const headers = `Content-Type: ${manifestType}\r\nContent-Length: ${bytes.length}\r\n`
  await connection.expect('201', {
    method: 'PUT',
    path: `/v2/${repository}/manifests/${reference}`,
    headers,
    body: [bytes],
  })
}
