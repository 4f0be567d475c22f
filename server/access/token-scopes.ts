import { RegistryError } from '../oci/errors.ts'
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { Action } from './actor.ts'

/** What a client asks a token for (distribution's token specification, "Requesting a Token"). */
export type TokenScope =
  | { type: 'repository'; repository: RepositoryName; actions: (Action | '*')[] }
  | { type: 'catalog' }
  /** Something that no one gets here: another type, or a name that no repository can have. */
  | { type: 'other' }

/** More of them than any client asks for. */
const mostScopes = 100

/**
 * `repository:[host[:port]/]name:action[,action]`, `registry:catalog:*`. Several may stand in one text, with spaces between.
 * @param hosts names of this registry that a client may put before a repository's
 * @throws RegistryError UNSUPPORTED 400 for what is no scope at all
 */
export function parseTokenScopes(texts: readonly string[], hosts: readonly string[]): TokenScope[] {
  const words = texts.flatMap(text => text.split(' ')).filter(word => word !== '')
  if (words.length > mostScopes) throw malformed(`at most ${mostScopes} scopes can be asked for at once`)
  return words.map(word => parseScope(word, hosts))
}

function parseScope(word: string, hosts: readonly string[]): TokenScope {
  const first = word.indexOf(':')
  const last = word.lastIndexOf(':')
  if (first <= 0 || last === first)
    throw malformed(`${JSON.stringify(word.slice(0, 300))} is no scope: write repository:name:pull,push`)
  // `repository(plugin)`: a class of repositories, which Berth does not tell apart.
  const type = word.slice(0, first).replace(/\([^)]*\)$/, '')
  const name = word.slice(first + 1, last)
  const actions = word.slice(last + 1).split(',')
  if (type === 'registry') return name === 'catalog' && actions.includes('*') ? { type: 'catalog' } : { type: 'other' }
  if (type !== 'repository') return { type: 'other' }
  // A host without a dot or a port looks like a namespace, and is taken for one.
  const host = hosts.find(one => /[.:]/.test(one) && name.startsWith(`${one}/`))
  const repository = host === undefined ? name : name.slice(host.length + 1)
  if (!isRepositoryName(repository)) return { type: 'other' }
  return { type: 'repository', repository, actions: [...new Set(actions.filter(isAction))] }
}

function isAction(word: string): word is Action | '*' {
  return word === 'pull' || word === 'push' || word === 'delete' || word === '*'
}

function malformed(message: string): RegistryError {
  return new RegistryError('UNSUPPORTED', { status: 400, message })
}
