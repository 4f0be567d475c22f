/** Requests to a registry by someone: with a password, a token, a client certificate, or nothing. */
import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Content, Image } from '../helpers/images.ts'

export interface AskingOptions {
  authorization?: string | undefined
  /** Of the client's side of TLS. */
  tls?: { ca: Buffer; cert?: Buffer; key?: Buffer }
  /** Sent with each request. */
  headers?: Record<string, string>
}

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  body: string
  /** What a client sees: without what is of this one request. */
  seen: { status: number; body: string; headers: IncomingHttpHeaders }
}

export interface Asking {
  /** @param path on the registry, or the whole URL that it has sent */
  ask(method: string, path: string, options?: { body?: Content; headers?: Record<string, string> }): Promise<Answered>
  /** Pushes an image as clients do. @returns the status of the manifest, or the first that was no success */
  push(repository: string, image: Image, tag?: string): Promise<number>
}

export function basic(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
}

export function asking(url: string, { authorization, tls, headers: always }: AskingOptions = {}): Asking {
  const ask: Asking['ask'] = async (method, path, { body, headers } = {}) => {
    const target = new URL(path, url)
    const sent = {
      ...always,
      ...(authorization === undefined ? {} : { authorization }),
      ...(body === undefined ? {} : { 'content-type': body.mediaType, 'content-length': body.bytes.length }),
      ...headers,
    }
    const request =
      target.protocol === 'https:'
        ? requestHttps(target, { method, headers: sent, agent: false, ...tls })
        : requestHttp(target, { method, headers: sent, agent: false })
    request.end(body?.bytes)
    const [response]: IncomingMessage[] = await once(request, 'response')
    if (response === undefined) throw new Error('no answer')
    const { statusCode: status = 0, headers: found } = response
    const content = await text(response)
    const { date: _date, 'x-request-id': _id, ...lasting } = found
    return { status, headers: found, body: content, seen: { status, body: content, headers: lasting } }
  }

  return {
    ask,
    async push(repository, { manifest, blobs }, tag = 'latest') {
      for (const blob of blobs) {
        const { status } = await ask('POST', `/v2/${repository}/blobs/uploads/?digest=${blob.digest}`, { body: blob })
        if (status !== 201) return status
      }
      const { status } = await ask('PUT', `/v2/${repository}/manifests/${tag}`, { body: manifest })
      return status
    },
  }
}
