/** A map of the configuration before it is checked. */
export type Tree = Record<string, unknown>

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What stands at a dotted path (`http.tls.key`) of maps; undefined when nothing does. */
export function at(tree: unknown, path: string): unknown {
  let value = tree
  for (const key of path.split('.')) {
    if (!isTree(value) || !Object.hasOwn(value, key)) return undefined
    value = value[key]
  }
  return value
}

/** The text at a dotted path; undefined when there is none, or something else. */
export function textAt(tree: unknown, path: string): string | undefined {
  const value = at(tree, path)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** True when nothing was really said: `{}`, `[]`, `''`, `false`, or a map of nothing else. */
export function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (isTree(value)) return Object.values(value).every(isEmpty)
  return value === undefined || value === null || value === '' || value === false
}
