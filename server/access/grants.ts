import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { Action, Grants } from './actor.ts'

/**
 * What the claim `access` of a token lists (distribution's "Token Authentication Implementation"): entries with `type`, `name` and
 * `actions`. Entries that mean nothing here are passed over, and so is the class in `repository(plugin)`.
 */
export function grantsOf(access: unknown): Grants {
  const repositories = new Map<RepositoryName, Set<Action | '*'>>()
  let catalog = false
  for (const entry of Array.isArray(access) ? access : []) {
    const { type, name, actions } = asRecord(entry)
    const words: unknown[] = Array.isArray(actions) ? actions : []
    if (type === 'registry' && name === 'catalog' && words.includes('*')) catalog = true
    if (typeof type !== 'string' || type.replace(/\([^)]*\)$/, '') !== 'repository') continue
    if (typeof name !== 'string' || !isRepositoryName(name)) continue
    repositories.set(name, new Set([...(repositories.get(name) ?? []), ...words.filter(isAction)]))
  }
  return { repositories, catalog }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function isAction(word: unknown): word is Action | '*' {
  return word === 'pull' || word === 'push' || word === 'delete' || word === '*'
}
