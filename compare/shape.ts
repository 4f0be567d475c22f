/**
 * Places in a body and what stands there: `.users[].email` → `string`. Values do not count, but for how a moment is written,
 * and for the words by which programs tell refusals apart.
 */
export type Shape = ReadonlyMap<string, string>

const words = new Set(['.errors[].code', '.error_type'])

/** The shape of a body; `body` itself is the place ``. @param depth how many levels of it are looked at; all when left out */
export function shapeOf(body: Buffer, depth = Infinity): Shape {
  const places = new Map<string, Set<string>>()
  if (body.length === 0) return new Map([['', 'nothing']])
  const value = parsed(body)
  if (value === undefined) return new Map([['', 'text']])
  add(value, '', depth)
  return new Map([...places].map(([place, types]) => [place, [...types].toSorted().join(' or ')]))

  function add(value: unknown, place: string, levels: number): void {
    const types = places.get(place) ?? new Set()
    places.set(place, types.add(words.has(place) ? String(value) : typeOf(value)))
    if (levels === 0 || typeof value !== 'object' || value === null) return
    // What an array has is one place, whatever its length.
    for (const [key, part] of Object.entries(value))
      add(part, Array.isArray(value) ? `${place}[]` : `${place}.${key}`, levels - 1)
  }
}

/** What JSON says; undefined where it is none. */
export function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'string' ? kindOf(value) : typeof value
}

function kindOf(text: string): string {
  if (/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d/.test(text)) return 'date of RFC 2822'
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? 'date of ISO 8601' : 'string'
}
