import { IncomingMessage, ServerResponse } from 'node:http'
import { Http2ServerRequest, Http2ServerResponse } from 'node:http2'

/** Node's methods take their callback in the place of any argument that is left out; it is passed on as it came. */
type Callback = (error?: Error | null) => void
type ErrorCallback = (error: Error) => void
type Encoding = BufferEncoding

/**
 * Requests and responses that count the bytes of their bodies, for the access log. They are classes because Node makes
 * them: to have a hand in each request afterwards costs more than its whole line.
 */
class CountedRequest extends IncomingMessage {
  /** Bytes of the body that came in so far. */
  received = 0

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk instanceof Uint8Array) this.received += chunk.length
    return super.push(chunk, encoding)
  }
}

export class CountedResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  /** Bytes of the body that were given to the connection so far; of a HEAD, that would have been. */
  sent = 0

  override write(chunk: string | Uint8Array, encoding?: Encoding | Callback, callback?: Callback): boolean {
    this.sent += lengthOf(chunk, encoding)
    return super.write(chunk, encoding as Encoding, callback)
  }

  override end(chunk?: unknown, encoding?: Encoding | Callback, callback?: Callback): this {
    this.sent += lengthOf(chunk, encoding)
    // An answer without a body goes out with those of its turn too (write-together.ts); Node uncorks with each end.
    this.socket?.cork()
    return super.end(chunk, encoding as Encoding, callback)
  }
}

class CountedHttp2Request extends Http2ServerRequest {
  received = 0

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk instanceof Uint8Array) this.received += chunk.length
    return super.push(chunk, encoding)
  }
}

class CountedHttp2Response<
  Request extends Http2ServerRequest = Http2ServerRequest,
> extends Http2ServerResponse<Request> {
  sent = 0

  // Its `end` writes by it as well.
  override write(chunk: string | Uint8Array, encoding?: Encoding | ErrorCallback, callback?: ErrorCallback): boolean {
    this.sent += lengthOf(chunk, encoding)
    return super.write(chunk, encoding as Encoding, callback)
  }
}

/** The classes for `createServer`, of HTTP/1. */
export const counted = { IncomingMessage: CountedRequest, ServerResponse: CountedResponse }
/** The same for a server of HTTP/2. */
export const countedHttp2 = { Http2ServerRequest: CountedHttp2Request, Http2ServerResponse: CountedHttp2Response }

/** How much of a request's body has come in past the parser or through it. */
export function receivedBy(request: object): number {
  return request instanceof CountedRequest || request instanceof CountedHttp2Request ? request.received : 0
}

export function sentBy(response: object): number {
  return response instanceof CountedResponse || response instanceof CountedHttp2Response ? response.sent : 0
}

function lengthOf(chunk: unknown, encoding: unknown): number {
  if (chunk instanceof Uint8Array) return chunk.length
  if (typeof chunk !== 'string') return 0
  return encoding === 'latin1' ? chunk.length : Buffer.byteLength(chunk)
}
