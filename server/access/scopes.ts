import { type Scope, type Scopes, scopes as all } from './actor.ts'

const implied: Partial<Record<Scope, readonly Scope[]>> = {
  'repo:admin': ['repo:write', 'repo:read'],
  'repo:write': ['repo:read'],
  'user:admin': ['user:read'],
}

export function isScope(text: string): text is Scope {
  return all.some(scope => scope === text)
}

/** Scopes with what each implies. Texts that are none are left out. */
export function impliedScopes(given: readonly string[]): Exclude<Scopes, 'all'> {
  return new Set(given.filter(isScope).flatMap(scope => [scope, ...(implied[scope] ?? [])]))
}

/** Scopes as a client lists them, by spaces or commas. @returns undefined when one of them is unknown */
export function parseScopes(text: string): Scope[] | undefined {
  const words = text.split(/[\s,]+/).filter(word => word !== '')
  return words.every(isScope) ? words : undefined
}
