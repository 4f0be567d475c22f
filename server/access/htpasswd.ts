/** What an htpasswd file says, as far as it counts: users with bcrypt hashes. */
export interface Htpasswd {
  /** Hashes by name. */
  readonly users: ReadonlyMap<string, string>
  /** Of the lines that were left out: how many there are for each reason. */
  readonly leftOut: ReadonlyMap<string, number>
}

const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
/** bcrypt's logarithm of rounds; one more would keep the thread that computes them busy for ten seconds. */
const highestCost = 16

/**
 * Reads `name:hash` lines, as Apache's htpasswd makes them with `-B`. Blank lines and those that begin with `#` say nothing.
 * Of two lines for a name the last one counts, as in registry:2.
 */
export function parseHtpasswd(text: string): Htpasswd {
  const users = new Map<string, string>()
  const leftOut = new Map<string, number>()
  for (const line of linesOf(text)) {
    const colon = line.indexOf(':')
    const hash = line.slice(colon + 1)
    const reason = colon <= 0 ? 'no name and hash with a colon between' : whatIsWrong(hash)
    if (reason === undefined) users.set(line.slice(0, colon), hash)
    else leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1)
    // It would be let in by a line that its owner believes to have replaced.
    if (reason !== undefined && colon > 0) users.delete(line.slice(0, colon))
  }
  return { users, leftOut }
}

/** Whether a text can't be the first part of a file that is being written: it has something in it, and no half line at its end. */
export function isWholeHtpasswd(text: string): boolean {
  if (text === '') return false
  const last = text.slice(text.lastIndexOf('\n') + 1).trim()
  return last === '' || last.startsWith('#') || bcrypt.test(last.slice(last.indexOf(':') + 1))
}

/** The logarithm of rounds of a bcrypt hash. */
export function costOf(hash: string): number {
  return Number(bcrypt.exec(hash)?.[1])
}

function linesOf(text: string): string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
}

function whatIsWrong(hash: string): string | undefined {
  const cost = costOf(hash)
  if (Number.isNaN(cost)) return 'not bcrypt; make it with htpasswd -B'
  if (cost < 4 || cost > highestCost) return `a cost of bcrypt that is not from 4 to ${highestCost}`
  return undefined
}
