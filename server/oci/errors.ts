interface ErrorKind {
  status: number
  /** Other statuses that it is sent with. */
  also?: readonly number[]
  message: string
  /** For the documentation: what leads to it, and what to do. */
  when: string
}

/**
 * Every error that the registry answers with, in one table.
 *
 * The first fourteen codes are the ones of the OCI distribution specification (section "Error Codes"); the rest
 * is only ever sent with a 5xx status, whose bodies the specification leaves free. `docs/errors.md` is printed
 * from this table.
 */
const table = {
  BLOB_UNKNOWN: {
    status: 404,
    message: 'blob unknown to this repository',
    when: 'The repository does not have the blob, whoever else has it.',
  },
  BLOB_UPLOAD_INVALID: {
    status: 400,
    also: [409, 416],
    message: 'blob upload invalid',
    when: '400: the body broke off. 409: another request writes to the upload. 416: the `Content-Range` does not begin where the upload ends; ask for its status and go on from there.',
  },
  BLOB_UPLOAD_UNKNOWN: {
    status: 404,
    message: 'blob upload unknown to this repository',
    when: 'The upload was ended, cancelled or given up, or never was. Begin another one.',
  },
  DIGEST_INVALID: {
    status: 400,
    message: 'the digest is not valid, or is not that of the content',
    when: 'A digest is malformed or of an unknown algorithm, or the bytes sent have another one.',
  },
  MANIFEST_BLOB_UNKNOWN: {
    status: 400,
    message: 'the manifest refers to content unknown to this repository',
    when: 'Config, layers or children have to be pushed first; there is one entry for each that is missing, with its digest.',
  },
  MANIFEST_INVALID: {
    status: 400,
    also: [412, 413],
    message: 'manifest invalid',
    when: '400: it is no manifest, or the tag is none; the message says what is wrong. 412: the condition of the request does not hold. 413: it is larger than 4 MiB.',
  },
  MANIFEST_UNKNOWN: {
    status: 404,
    message: 'manifest unknown to this repository',
    when: 'The repository does not have the tag or the digest.',
  },
  NAME_INVALID: {
    status: 400,
    message: 'invalid repository name',
    when: 'The name is not of the form that repositories have, or is longer than 255 characters.',
  },
  NAME_UNKNOWN: {
    status: 404,
    message: 'repository name not known to this registry',
    when: 'Nothing was ever pushed to the repository.',
  },
  SIZE_INVALID: {
    status: 400,
    message: 'the length announced is not that of the content',
    when: '`Content-Range` and the length of the body do not agree. The upload stays as it was.',
  },
  UNAUTHORIZED: {
    status: 401,
    message: 'authentication required',
    when: 'The request says nothing of its sender, or something wrong; a token has ended, or is not good for this. `WWW-Authenticate` says how to do better.',
  },
  DENIED: {
    status: 403,
    message: 'requested access to the resource is denied',
    when: 'Who sends the request may not do this. It is the same for a repository that is not there.',
  },
  UNSUPPORTED: {
    status: 405,
    also: [400, 404, 408, 412, 414, 415, 416, 417, 431, 501],
    message: 'the operation is unsupported',
    when: '405: the path does not take the method, deleting is switched off, the registry is read-only, or a manifest needs the blob. 404: there is nothing at the path. 416: nothing of the `Range` is in the blob. Else: the request is not understood, as HTTP or in a parameter.',
  },
  TOOMANYREQUESTS: {
    status: 429,
    message: 'too many requests',
    when: 'Too many wrong passwords, for this name or from this address. `Retry-After` says when to come back.',
  },
  UNAVAILABLE: {
    status: 503,
    message: 'the service is not available at the moment; try again',
    when: 'The database or the store is out of reach. `Retry-After` says when to come back.',
  },
  INSUFFICIENT_STORAGE: {
    status: 507,
    message: 'the registry has no room left to store this',
    when: 'The store is full. An upload keeps what it has.',
  },
  UNKNOWN: {
    status: 500,
    message: 'unknown error; the log of the registry tells more under the request id',
    when: 'A fault of the registry. The header `X-Request-Id` leads to the line of the log that tells more.',
  },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof table

/** All codes with what is to be known of them, for the documentation. */
export function errorTable(): (Required<ErrorKind> & { code: ErrorCode })[] {
  return Object.keys(table)
    .filter(isErrorCode)
    .map(code => {
      const { also = [], ...kind }: ErrorKind = table[code]
      return { code, also, ...kind }
    })
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(table, text)
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
