import type { Answer } from '../../conformance/http.ts'
import { parsed } from '../shape.ts'

/**
 * Who asks.
 * - `anonymous`: a browser in which no one is signed in, with a CSRF token.
 * - `user`, `stranger`, `admin`: a browser's session, with its CSRF token; until it has begun, no one's.
 *   `admin` is the superuser, and `stranger` has nothing to do with what is the user's.
 * - `token`: the OAuth token that came with the first user.
 * - `password`, `robot`: Basic, as the user and as a robot of the user's.
 * - `bearer`: the token that `/v2/auth` gave last.
 */
export type Identity = 'anonymous' | 'user' | 'stranger' | 'admin' | 'token' | 'password' | 'robot' | 'bearer'

/** One call that is made to both. `{name}` in it stands for what an earlier one has kept. */
export interface Case {
  /** Who, what and, in brackets, what is special about it: unique. */
  name: string
  as: Identity
  method: string
  path: string
  /** Sent as JSON, or as it is. */
  body: unknown
  headers: Readonly<Record<string, string>>
  /** What later calls need of the answer. */
  keep: Readonly<Record<string, (answer: Answer) => string | undefined>>
  /** How many levels of the bodies are compared. */
  depth: number | undefined
}

export interface CaseOptions {
  body?: unknown
  /** What is special, where the same is asked twice. */
  note?: string
  headers?: Record<string, string>
  keep?: Case['keep']
  depth?: number
}

/** A line of a table. @param ask method and path, as in `GET /api/v1/user/` */
export function call(as: Identity, ask: string, options: CaseOptions = {}): Case {
  const { body, note, headers = {}, keep = {}, depth } = options
  const [method = '', path = ''] = ask.split(' ')
  return {
    name: `${as}: ${ask}${note === undefined ? '' : ` (${note})`}`,
    as,
    method,
    path,
    body,
    headers,
    keep,
    depth,
  }
}

/** What stands at this path of a JSON answer, as a text. */
export function at(...path: readonly (string | number)[]) {
  return ({ body }: Answer): string | undefined => {
    const found = path.reduce<unknown>(
      (part, key) => (typeof part === 'object' && part !== null ? Reflect.get(part, key) : undefined),
      parsed(body),
    )
    return typeof found === 'string' || typeof found === 'number' ? String(found) : undefined
  }
}

/** The part of a header that the group of a pattern has. */
export function inHeader(name: string, pattern: RegExp) {
  return ({ headers }: Answer): string | undefined => pattern.exec(String(headers[name] ?? ''))?.[1]
}
