import { userInfo } from 'node:os'
import { OutOfSpace } from '../../storage-drivers/driver.ts'
import type { Config } from '../config/config.ts'
import { reasonOf } from '../lib/reason.ts'

/** What keeps Berth from starting, each as one sentence that says what to do. */

const settings = 'database.url (DB_URI)'

const networkErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EACCES',
  'EPIPE',
  'ETIMEDOUT',
])

/** For an error of the operator's Postgres at the start. The password of the URL is not repeated. */
export function databaseFailure(error: unknown, url: string): Error {
  const { place, user, name } = partsOf(url)
  const code = codeOf(error)
  const reason = reasonOf(error)
  const say = (sentence: string) => new Error(sentence, { cause: error })

  if (networkErrors.has(code) || /timeout expired|Connection terminated/i.test(reason))
    return say(`the database at ${place} can not be reached (${reason}): start it, or correct ${settings}`)
  if (code === '28P01' || code === '28000')
    return say(`the database at ${place} does not let ${user} in (${reason}): correct user and password in ${settings}`)
  if (code === '3D000') return say(`there is no database ${name} at ${place}: create it, or correct ${settings}`)
  if (code === '57P03') return say(`the database at ${place} is not ready (${reason}): start Berth again when it is`)
  if (code === '53300') return say(`the database at ${place} has no connection left (${reason}): raise max_connections`)
  if (/^migration .* failed/.test(reason) && codeOf(causeOf(error)) !== '')
    return say(
      `${reason}; nothing was changed. Berth needs a database of its own, owned by its user, on PostgreSQL 15 or newer: see ${settings}`,
    )
  if (code === '42501')
    return say(`the database ${name} at ${place} does not let ${user} make tables (${reason}): make it the owner`)
  if (error instanceof TypeError) return say(`${settings} is not the URL of a Postgres (${reason})`)
  return error instanceof Error && code === ''
    ? error
    : say(`the database at ${place} can not be used (${reason}): see ${settings}`)
}

/** For an error of the blob driver at the start. All drivers but that of files say themselves what is to be done. */
export function storageFailure(error: unknown, storage: Config['storage']): Error {
  const reason = reasonOf(error)
  if (storage.driver.name !== 'filesystem') return error instanceof Error ? error : new Error(reason, { cause: error })
  const folder = storage.driver.options.rootdirectory
  const setting = 'storage.filesystem.rootdirectory (BERTH_DATA)'
  const say = (sentence: string) => new Error(sentence, { cause: error })
  if (error instanceof OutOfSpace || /ENOSPC|EDQUOT/.test(reason))
    return say(`the disk of ${folder} is full: make room on it, or give another folder in ${setting}`)
  return say(
    `the folder ${folder} can not be used for blobs (${reason}): let the user ${userName()} write to it, or give another one in ${setting}`,
  )
}

/** For a file of certificate authorities of a blob store that can't be used. */
export function authoritiesFailure(file: string, reason: string, cause?: unknown): Error {
  return new Error(
    `the certificate authorities of the blob store can not be read from ${file} (${reason}): correct cafile in the section of the storage driver, or let the user ${userName()} read the file`,
    { cause },
  )
}

/** Where a URL leads, without what is secret in it. */
function partsOf(url: string): { place: string; user: string; name: string } {
  if (!URL.canParse(url)) return { place: 'that URL', user: 'the user', name: 'of that name' }
  const { host, username, pathname, searchParams } = new URL(url)
  return {
    place: decodeURIComponent(host) || searchParams.get('host') || 'this host',
    user: username === '' ? 'the user' : `the user ${decodeURIComponent(username)}`,
    name: decodeURIComponent(pathname.slice(1)) || 'of that name',
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** A user need not have a name: containers often run as a bare number. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'of Berth')
  }
}
