import { distance } from 'fastest-levenshtein'
import { Type } from 'typebox'

/**
 * The path of the known key that a wrong one most probably stands for: a neighbour that is spelt nearly the same, or
 * the one place where a key of this very name belongs, or else the neighbour that is nearest.
 *
 * @param parent the path of the map in which the wrong key stands, '' at the top
 * @param neighbours the known keys of that map
 */
export function nearestKey(
  root: Type.TSchema,
  parent: string,
  key: string,
  neighbours: readonly string[],
): string | undefined {
  const wrong = key.toLowerCase()
  const best = neighbours
    .map(name => ({ name, distance: difference(wrong, name) }))
    .toSorted((a, b) => a.distance - b.distance)[0]
  const elsewhere = [...knownPaths(root, '')].filter(path => path.split('.').at(-1) === wrong)
  const [onlyPlace] = elsewhere.length === 1 ? elsewhere : []
  if (onlyPlace !== undefined && (best === undefined || best.distance > 2)) return onlyPlace
  return best === undefined ? undefined : join(parent, best.name)
}

/** Like the number of letters to change, but an abbreviation is near. */
function difference(wrong: string, name: string): number {
  return wrong.length > 2 && name.startsWith(wrong) ? 1 : distance(wrong, name)
}

function* knownPaths(schema: Type.TSchema, path: string): Iterable<string> {
  if (Type.IsArray(schema)) yield* knownPaths(schema.items, path)
  if (!Type.IsObject(schema)) return
  for (const [key, property] of Object.entries(schema.properties)) {
    yield join(path, key)
    yield* knownPaths(property, join(path, key))
  }
}

function join(parent: string, key: string): string {
  return parent === '' ? key : `${parent}.${key}`
}
