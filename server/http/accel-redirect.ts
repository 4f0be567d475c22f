import type { FastifyRequest } from 'fastify'
import type { Blob, Blobs } from '../registry/blobs.ts'

/** The URI at which nginx finds the file of a blob; undefined where Berth has to send the blob itself. */
export type AccelRedirect = (request: FastifyRequest, blob: Blob) => string | undefined

/** Conditions that nginx would hold against an ETag of its own. */
const conditions = ['if-match', 'if-unmodified-since'] as const

/**
 * Downloads that a proxy makes: answered with the name of a file in place of its bytes.
 * @param prefix `http.accelredirect`: what stands for the folder of the store; undefined where no proxy does that
 * @throws Error when blobs are not files
 */
export function createAccelRedirect(prefix: string | undefined, { inFiles }: Pick<Blobs, 'inFiles'>): AccelRedirect {
  if (prefix === undefined) return () => undefined
  if (!inFiles)
    throw new Error(
      'http.accelredirect: with this storage driver blobs are no files that nginx could send; remove the key, or use storage.filesystem',
    )
  return ({ method, headers }, blob) => {
    if (method !== 'GET' || blob.size === 0 || conditions.some(name => headers[name] !== undefined)) return undefined
    const path = blob.file()
    // nginx takes it for a URI, and decodes it.
    return path === undefined ? undefined : `${prefix}/${path.split('/').map(encodeURIComponent).join('/')}`
  }
}
