import pRetry, { type Options } from 'p-retry'
import { StorageUnavailable } from './driver.ts'

/** Pauses of 0.1 s that double up to 3 s, for half a minute in all: a store that is started again is back by then. */
const patience = {
  retries: 20,
  factor: 2,
  minTimeout: 100,
  maxTimeout: 3_000,
  maxRetryTime: 30_000,
  randomize: true,
} satisfies Options

/**
 * Does the work again while it fails with what may pass.
 * @throws what it failed with; StorageUnavailable, with that as its cause, when it did not pass in time
 */
export async function persistently<Result>(
  work: () => Promise<Result>,
  mayPass: (error: Error) => boolean,
): Promise<Result> {
  try {
    return await pRetry(work, { ...patience, shouldRetry: ({ error }) => mayPass(error) })
  } catch (error) {
    throw error instanceof Error && mayPass(error) ? new StorageUnavailable({ cause: error }) : error
  }
}

/** What breaks a connection, by the names that Node and undici give it, and is no fault of a setting. */
const brokenConnection = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
])
/** 498 is Swift's limit of rates. */
const busyStatuses = new Set([408, 429, 498, 500, 502, 503, 504])

/** Whether a request that was answered so may be answered otherwise a moment later. */
export function mayPassStatus(status: number): boolean {
  return busyStatuses.has(status)
}

/** Whether it is the connection that failed, and not the request. */
export function isBrokenConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  if (brokenConnection.has(code) || /socket hang up|timed? ?out/i.test(`${error.name} ${error.message}`)) return true
  return error.cause !== undefined && isBrokenConnection(error.cause)
}
