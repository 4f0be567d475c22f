import { readFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { buffer } from 'node:stream/consumers'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface AskOptions {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
  /** The file of the authority that signed the server's certificate, for https. */
  ca?: string
}

/** One request on a connection of its own; redirects are not followed. Fails when no answer came within 30 s. */
export function ask(url: string, { method = 'GET', headers = {}, body, ca }: AskOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const secure = url.startsWith('https:')
    const send = secure ? httpsRequest : httpRequest
    const options = { method, headers, agent: false, signal: AbortSignal.timeout(30_000) }
    const request = send(url, secure && ca !== undefined ? { ...options, ca: readFileSync(ca) } : options)
    request.once('error', reject)
    request.once('response', response => {
      buffer(response).then(
        bytes => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes }),
        reject,
      )
    })
    request.end(body)
  })
}
