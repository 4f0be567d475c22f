import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { nearestKey } from './nearest.ts'
import { isTree } from './tree.ts'

/** One thing that is wrong: the path of the key as in `health.http[0].uri`, and what is the matter with it. */
export interface Fault {
  path: string
  message: string
}

/** Everything in a shaped tree that the schema does not allow. Knows nothing of how keys depend on each other. */
export function check(root: Type.TSchema, tree: unknown): Fault[] {
  return [...faultsOf(root, tree, '')]

  function* faultsOf(schema: Type.TSchema, value: unknown, path: string): Iterable<Fault> {
    if (Type.IsObject(schema)) yield* faultsOfObject(schema, value, path)
    else if (Type.IsRecord(schema)) yield* faultsOfRecord(schema, value, path)
    else if (Type.IsArray(schema)) yield* faultsOfArray(schema, value, path)
    else if (!Value.Check(schema, value)) yield { path, message: complaint(schema, value) }
  }

  function* faultsOfObject(schema: Type.TObject, value: unknown, path: string): Iterable<Fault> {
    if (!isTree(value)) {
      yield { path, message: `has to be a map, not ${kindOf(value)}` }
      return
    }
    const known = Object.keys(schema.properties)
    for (const key of Object.keys(value).filter(key => !known.includes(key))) {
      const nearest = nearestKey(root, path, key, known)
      const hint = nearest === undefined ? 'no key is known here' : `the nearest known one is ${nearest}`
      yield { path: join(path, key), message: `unknown key; ${hint}` }
    }
    for (const [key, property] of Object.entries(schema.properties)) {
      if (Object.hasOwn(value, key)) yield* faultsOf(property, value[key], join(path, key))
      else if (schema.required?.includes(key) && !('default' in property)) {
        yield { path: join(path, key), message: 'is missing' }
      }
    }
  }

  function* faultsOfRecord(schema: Type.TRecord, value: unknown, path: string): Iterable<Fault> {
    if (!isTree(value)) {
      yield { path, message: `has to be a map, not ${kindOf(value)}` }
      return
    }
    const values = Type.RecordValue(schema)
    for (const [key, item] of Object.entries(value)) yield* faultsOf(values, item, join(path, key))
  }

  function* faultsOfArray(schema: Type.TArray, value: unknown, path: string): Iterable<Fault> {
    if (!Array.isArray(value)) {
      yield { path, message: `has to be a list as in [a, b], not ${kindOf(value)}` }
      return
    }
    for (const [index, item] of value.entries()) yield* faultsOf(schema.items, item, `${path}[${index}]`)
  }
}

function complaint(schema: Type.TSchema, value: unknown): string {
  if (Type.IsBoolean(schema)) return `has to be true or false, not ${naming(value)}`
  if (Type.IsInteger(schema) && !Number.isInteger(value)) return `has to be a whole number, not ${naming(value)}`
  if (Type.IsString(schema) && typeof value !== 'string') return `has to be text, not ${kindOf(value)}`
  if (Type.IsUnion(schema) && typeof value === 'object') return `has to be a number or a word, not ${kindOf(value)}`
  // What is left are the bounds of numbers and the checks of `fields.ts`, whose messages are sentences already.
  return Value.Errors(schema, value)
    .map(error => error.message.replace(/^must be >= /, 'has to be at least '))
    .join('; ')
}

/** What was found where a switch or a number has to be: no secret stands there. */
function naming(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? JSON.stringify(value) : kindOf(value)
}

/** What was found, without showing it: it may be a secret. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  return typeof value === 'string' ? 'text' : `a ${typeof value}`
}

function join(parent: string, key: string): string {
  return parent === '' ? key : `${parent}.${key}`
}
