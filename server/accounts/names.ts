import type { Branded } from '../oci/brand.ts'
import { invalid } from './errors.ts'

/** The name of a user or an organization: the first component of the names of its repositories. */
export type NamespaceName = Branded<'NamespaceName'>

const namespacePattern = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/
const rule = '2 to 255 lower-case letters and digits, with . _ - between them'

/** The namespace of repositories whose names have one component only. */
export const unprefixed = 'library'

/** Names that are paths of the registry or stand for something else. */
const reserved = new Set([unprefixed, 'api', 'v1', 'v2', 'auth'])

export function isNamespaceName(text: string): text is NamespaceName {
  return text.length >= 2 && text.length <= 255 && namespacePattern.test(text)
}

/** @throws AccountError for a name that no user or organization can have; `library` is no one's but a superuser's */
export function parseNewNamespaceName(text: string): NamespaceName {
  if (!isNamespaceName(text)) throw invalid(`Invalid namespace name ${JSON.stringify(text.slice(0, 300))}: ${rule}`)
  if (reserved.has(text)) throw invalid(`The name ${text} is reserved`)
  return text
}

/** Whether a push can make a namespace of this name, where pushes make namespaces. */
export function isFreeNamespaceName(text: string): boolean {
  return isNamespaceName(text) && !reserved.has(text)
}

/** Whether a robot can be called so behind the `+`: as in Quay, what a namespace can be called. */
export function isRobotShortName(text: string): boolean {
  return isNamespaceName(text)
}

/** @throws AccountError for the short name of a robot that none can have */
export function parseRobotShortName(text: string): string {
  if (isRobotShortName(text)) return text
  throw invalid(`The name for the robot ${JSON.stringify(text.slice(0, 300))} is invalid: ${rule}`)
}

/** Whether a team can be called so: as in Quay, what a namespace can be called. */
export function isTeamName(text: string): boolean {
  return isNamespaceName(text)
}

/** @throws AccountError for a team name that none can have */
export function parseTeamName(text: string): string {
  if (isTeamName(text)) return text
  throw invalid(`Invalid team name ${JSON.stringify(text.slice(0, 300))}: ${rule}`)
}

/** Whether a user or a robot can be called so. */
export function isAccountName(text: string): boolean {
  const robot = splitRobotName(text)
  return robot === undefined ? isNamespaceName(text) : isNamespaceName(robot.namespace) && isRobotShortName(robot.short)
}

/** The namespace and the short name of a robot; undefined for the name of no robot. */
export function splitRobotName(name: string): { namespace: string; short: string } | undefined {
  const plus = name.indexOf('+')
  return plus <= 0 ? undefined : { namespace: name.slice(0, plus), short: name.slice(plus + 1) }
}

/** Tells the repositories of a namespace by their names. */
export function repositoriesOf(namespace: string): (repository: string) => boolean {
  return repository => (repository.includes('/') ? repository.startsWith(`${namespace}/`) : namespace === unprefixed)
}

/** bcrypt looks at no more; a longer one would be as good as its beginning. */
const longestPassword = 72

/** @throws AccountError for a password that is too weak or too long, in the words that Quay's users know */
export function checkPassword(password: string): void {
  if (password.length < 8 || /\s/.test(password))
    throw invalid('Invalid password, password must be at least 8 characters and contain no whitespace.')
  if (Buffer.byteLength(password) > longestPassword)
    throw invalid(`Invalid password, password must have at most ${longestPassword} bytes.`)
}

/** @throws AccountError for a text that is no e-mail address */
export function checkEmail(email: string): void {
  if (email.length > 254 || !/^[^\s@\0]+@[^\s@\0]+\.[^\s@\0]+$/.test(email))
    throw invalid(`Invalid email address: ${email.slice(0, 300)}`)
}
