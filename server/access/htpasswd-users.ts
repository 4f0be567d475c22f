import { createHmac, randomBytes, randomInt } from 'node:crypto'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from '../lib/log.ts'
import { reasonOf } from '../lib/reason.ts'
import { openFreshFile } from './fresh-file.ts'
import { costOf, type Htpasswd, isWholeHtpasswd, parseHtpasswd } from './htpasswd.ts'
import type { Passwords } from './passwords.ts'

/** The users of an htpasswd file. */
export interface HtpasswdUsers {
  /** Whether a password was seen to be that of the user, and still is. Costs two HMACs at most. */
  isKnown(name: string, password: string): boolean
  /**
   * Whether a password is that of the user. It takes as long for a name that the file does not have.
   * @throws RegistryError UNAVAILABLE when too many wait already
   */
  verify(name: string, password: string): Promise<boolean>
}

export interface HtpasswdOptions {
  path: string
  passwords: Passwords
  log: Logger
}

/** The key of the configuration that names the file. */
const setting = 'auth.htpasswd.path'
/** The user of a file that Berth makes. */
const firstUser = 'docker'
/** Of the hashes that stand for users who are not there when the file has none to go by. */
const usualCost = 10

/**
 * Reads the file, which may change from then on. One that is missing is made, with one user whose password is told in the log,
 * as registry:2 does it.
 * @throws Error with what to do when it can't be read or made
 */
export async function openHtpasswd({ path, passwords, log }: HtpasswdOptions): Promise<HtpasswdUsers> {
  await makeWhereMissing({ path, passwords, log })
  const key = randomBytes(32)
  const decoys = new Map<number, string>()
  const file = openFreshFile({
    path,
    setting,
    isWhole: isWholeHtpasswd,
    log,
    read(text) {
      const htpasswd = parseHtpasswd(text)
      tellLeftOut(htpasswd, { path, log })
      return { hashes: htpasswd.users, costs: [...htpasswd.users.values()].map(costOf) }
    },
  })

  /** A hash that no password has, for a name that is not there: it costs what those of the file do. */
  function decoyFor(name: string, costs: readonly number[]): string {
    const cost = costs[createHmac('sha256', key).update(name).digest().readUInt32BE() % costs.length] ?? usualCost
    const decoy = decoys.get(cost) ?? `$2b$${String(cost).padStart(2, '0')}$${randomText(53)}`
    decoys.set(cost, decoy)
    return decoy
  }

  return {
    isKnown(name, password) {
      const hash = file.current().hashes.get(name)
      return hash !== undefined && passwords.isKnown(password, hash)
    },

    async verify(name, password) {
      // Who was added a moment ago is let in.
      const { hashes, costs } = file.latest()
      const hash = hashes.get(name)
      const right = await passwords.verify(password, hash ?? decoyFor(name, costs))
      return right && hash !== undefined
    },
  }
}

function tellLeftOut({ leftOut }: Htpasswd, { path, log }: Pick<HtpasswdOptions, 'path' | 'log'>): void {
  if (leftOut.size === 0) return
  const lines = leftOut.values().reduce((sum, count) => sum + count, 0)
  const reasons = [...leftOut].map(([reason, count]) => `${count}: ${reason}`).join('; ')
  log.warn({ file: path, lines, reasons }, 'lines of the htpasswd file left out')
}

async function makeWhereMissing({ path, passwords, log }: HtpasswdOptions): Promise<void> {
  const isThere = await stat(path).then(
    () => true,
    (error: unknown) => codeOf(error) !== 'ENOENT',
  )
  if (isThere) return
  const password = randomBytes(32).toString('base64url')
  const line = `${firstUser}:${await passwords.hash(password)}\n`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(path, line, { flag: 'wx', mode: 0o600, flush: true })
  } catch (error) {
    // Another process was faster, and has told its password.
    if (codeOf(error) === 'EEXIST') return
    throw new Error(
      `${setting}: there is no file ${path}, and none can be made (${reasonOf(error)}): correct the path, or make it by htpasswd -B -c`,
      { cause: error },
    )
  }
  log.warn({ file: path, user: firstUser, password }, 'htpasswd file was missing and has been made with one user')
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

const bcryptAlphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

function randomText(length: number): string {
  return Array.from({ length }, () => bcryptAlphabet[randomInt(bcryptAlphabet.length)]).join('')
}
