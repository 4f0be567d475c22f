/**
 * Every error that the registry answers with, in one table.
 *
 * The first fourteen codes are the ones of the OCI distribution specification (section "Error Codes"); the rest
 * is only ever sent with a 5xx status, whose bodies the specification leaves free. `docs/errors.md` is printed
 * from this table.
 */
const table = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to this repository' },
  BLOB_UPLOAD_INVALID: { status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to this repository' },
  DIGEST_INVALID: { status: 400, message: 'the digest is not valid, or is not that of the content' },
  MANIFEST_BLOB_UNKNOWN: { status: 400, message: 'the manifest refers to content unknown to this repository' },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown to this repository' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to this registry' },
  SIZE_INVALID: { status: 400, message: 'the length announced is not that of the content' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  UNAVAILABLE: { status: 503, message: 'the service is not available at the moment; try again' },
  INSUFFICIENT_STORAGE: { status: 507, message: 'the registry has no room left to store this' },
  UNKNOWN: { status: 500, message: 'unknown error; the log of the registry tells more under the request id' },
} as const satisfies Record<string, { status: number; message: string }>

export type ErrorCode = keyof typeof table

/** One line per code, for the documentation: code, usual status, usual message. */
export function errorTable(): { code: string; status: number; message: string }[] {
  return Object.entries(table).map(([code, { status, message }]) => ({ code, status, message }))
}

export interface RegistryErrorOptions extends ErrorOptions {
  /** A sentence for a person; the table's when left out. */
  message?: string
  /** Anything that can be written as JSON; goes into the envelope as it is. */
  detail?: unknown
  /** Where one code is answered with different statuses (BLOB_UPLOAD_INVALID: 400 or 416). */
  status?: number
  /** Extra response headers, such as `Retry-After` or `Range`. */
  headers?: Record<string, string>
}

/** What any operation throws when it refuses; each HTTP face renders it in its own envelope. */
export class RegistryError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly detail: unknown
  readonly headers: Record<string, string>

  constructor(code: ErrorCode, options: RegistryErrorOptions = {}) {
    super(options.message ?? table[code].message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RegistryError'
    this.code = code
    this.status = options.status ?? table[code].status
    this.detail = options.detail
    this.headers = options.headers ?? {}
  }
}

/** Several refusals of one request, each an entry of its own in the envelope (one per missing blob, say). */
export class RegistryErrors extends Error {
  readonly errors: readonly RegistryError[]

  constructor(errors: readonly RegistryError[]) {
    super(errors.map(error => error.message).join('; '))
    this.name = 'RegistryErrors'
    this.errors = errors
  }
}
