import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface Sent {
  headers?: Record<string, string>
  body?: Buffer | string | undefined
  /** Called when half of the body has been written. */
  halfway?: (() => void) | undefined
  timeoutMs?: number
}

export interface Client {
  readonly url: string
  /** @throws the connection's error, when there is no answer, or not all of it */
  send(method: string, path: string, sent?: Sent): Promise<Answer>
  close(): void
}

/** A client that keeps its connections, as the real ones do. */
export function createClient(url: string, { connections = 64 }: { connections?: number } = {}): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  return {
    url,
    send: (method, path, { headers = {}, body, halfway, timeoutMs = 60_000 } = {}) =>
      new Promise<Answer>((resolve, reject) => {
        const bytes = body === undefined ? undefined : Buffer.from(body)
        const length =
          headers['transfer-encoding'] === 'chunked' || (bytes === undefined && (method === 'GET' || method === 'HEAD'))
            ? {}
            : { 'content-length': bytes?.length ?? 0 }
        const signal = AbortSignal.timeout(timeoutMs)
        const request = httpRequest(new URL(path, url), { method, headers: { ...length, ...headers }, agent, signal })
        request.once('error', reject)
        request.once('response', response => {
          buffer(response).then(
            read => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: read }),
            reject,
          )
        })
        if (bytes === undefined || halfway === undefined) {
          request.end(bytes)
          return
        }
        const half = Math.floor(bytes.length / 2)
        request.write(bytes.subarray(0, half), () => {
          halfway()
          request.end(bytes.subarray(half))
        })
      }),
    close: () => agent.destroy(),
  }
}

/** How long something took that is repeated often: the slowest, and the 99th of a hundred. In milliseconds. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
