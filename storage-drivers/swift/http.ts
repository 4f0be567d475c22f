import { rootCertificates } from 'node:tls'
import type { Readable } from 'node:stream'
import { Agent } from 'undici'
import type { SwiftOptions } from './options.ts'

/** HTTP as the driver speaks it, to the login and to Swift: connections are kept, and everything has a limit of time. */
export interface Http extends AsyncDisposable {
  /** Sends a request, once. @throws what came between: the answer's status is for the caller to look at */
  send(request: HttpRequest): Promise<HttpAnswer>
}

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  url: string
  headers?: Readonly<Record<string, string>>
  body?: Uint8Array | string
  /** Milliseconds within which the answer has to begin, when the request has been sent. */
  answerMs?: number
}

/** Its body has to be read, dumped or destroyed. */
export interface HttpAnswer {
  readonly status: number
  /** By its name in small letters. */
  header(name: string): string | undefined
  readonly body: Readable
  text(): Promise<string>
  /** Does away with the body, so that the connection can be used again. */
  dump(): Promise<void>
}

const connectMs = 5_000
/** An answer that does not begin, or on which nothing moves for so long, is given up. */
const silenceMs = 30_000
/** A connection may be slow: what is sent has so much more time for each byte of it. */
const bytesPerMs = 1000
/** Servers close connections that nobody uses; to be quicker saves a request that would have to be repeated. */
const idleMs = 15_000

export function createHttp({ skipVerify, ca }: SwiftOptions['tls']): Http {
  const agent = new Agent({
    keepAliveTimeout: idleMs,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    connect: {
      timeout: connectMs,
      rejectUnauthorized: !skipVerify,
      // The login may have a certificate that everyone trusts, and Swift one of the house.
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    },
  })

  return {
    async send({ method, url, headers = {}, body, answerMs = silenceMs }) {
      const { origin, pathname, search } = splitUrl(url)
      const {
        statusCode,
        headers: found,
        body: content,
      } = await agent.request({
        origin,
        path: pathname + search,
        method,
        headers,
        headersTimeout: answerMs + (body?.length ?? 0) / bytesPerMs,
        ...(body === undefined ? {} : { body }),
      })
      // A body that nobody reads any more may still break.
      content.on('error', () => {})
      return {
        status: statusCode,
        header(name) {
          const value = found[name]
          return Array.isArray(value) ? value[0] : value
        },
        body: content,
        text: () => content.text(),
        dump: () => content.dump(),
      }
    },

    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

/** As it is written: names of objects may look as if they could be shortened. */
function splitUrl(url: string): { origin: string; pathname: string; search: string } {
  const [, origin = '', pathname = '', search = ''] = /^(https?:\/\/[^/?#]+)([^?#]*)([^#]*)$/.exec(url) ?? []
  if (origin === '') throw new Error(`${url} is no URL of HTTP`)
  return { origin, pathname: pathname === '' ? '/' : pathname, search }
}
