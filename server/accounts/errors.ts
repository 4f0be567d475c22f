/** What any operation on accounts throws when it refuses; server/http/api/errors.ts renders it. */
export class AccountError extends Error {
  readonly kind: AccountErrorKind
  /** Seconds after which to try again. */
  readonly retryAfter: number | undefined

  constructor(kind: AccountErrorKind, message: string, options: ErrorOptions & { retryAfter?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AccountError'
    this.kind = kind
    this.retryAfter = options.retryAfter
  }
}

/** Each with its status and a title, as Quay has them. */
export const accountErrors = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  invalid_response: { status: 400, title: 'The response is not valid' },
  invalid_token: { status: 401, title: 'Requires authentication' },
  expired_token: { status: 401, title: 'The access token has expired' },
  fresh_login_required: { status: 401, title: 'The password has to be entered again' },
  insufficient_scope: { status: 403, title: 'Unauthorized' },
  not_found: { status: 404, title: 'Not found' },
  tag_immutable: { status: 409, title: 'The tag can not be changed' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'A fault of the registry' },
  read_only: { status: 503, title: 'The registry is read-only at the moment' },
  unavailable: { status: 503, title: 'The service is not available at the moment' },
} as const

export type AccountErrorKind = keyof typeof accountErrors

export function isAccountErrorKind(text: string): text is AccountErrorKind {
  return Object.hasOwn(accountErrors, text)
}

/** For input that can't be taken; the message is for a person. */
export function invalid(message: string): AccountError {
  return new AccountError('invalid_request', message)
}

/** The same for what is not there and for what may not be seen. */
export function notFound(): AccountError {
  return new AccountError('not_found', 'Not Found')
}
