import { Type } from 'typebox'
import type { Fault } from './check.ts'
import { shape } from './shape.ts'
import { isTree, type Tree } from './tree.ts'
import { readYaml } from './yaml.ts'

/*
 * The rules by which `REGISTRY_*` variables override a configuration. They are those of registry:2 and 3
 * (configuration/parser.go), driven by the schema, with two things mended that fail there: a list of plain values can
 * be filled by index, and lists in maps (`middleware.storage`) take more than one element.
 *
 * `REGISTRY_HTTP_TLS_CLIENTCAS_0=/ca.pem`: the parts between the underscores walk down the schema (no key has an
 * underscore in it), and the value is read as YAML into what the last part names.
 */

/** Variables that mean a key without following the rule; they win over the ones that do. */
const namedVariables = { BERTH_DATA: ['data'], DB_URI: ['database', 'url'] } as const

export interface Overlay {
  tree: unknown
  /** One sentence for each variable that is not heeded. */
  warnings: string[]
  faults: Fault[]
  /** Which variable set the key at a path. */
  origins: ReadonlyMap<string, string>
}

interface Assignment {
  variable: string
  value: string
  /** The keys, list indexes and names of map entries from the top down, spelt as in the file. */
  path: string[]
}

/** Lays the environment over a tree. The tree itself stays as it was. */
export function overlayEnvironment(
  schema: Type.TSchema,
  tree: unknown,
  env: Readonly<Record<string, string | undefined>>,
): Overlay {
  const warnings: string[] = []
  const faults: Fault[] = []
  const origins = new Map<string, string>()
  let result = tree

  for (const { variable, value, path } of assignments(schema, env, warnings)) {
    const yaml = readYaml(value)
    if (yaml.faults.length === 0) assign(variable, path, yaml.value)
    // What YAML has to say about it would show pieces of the value, which may be a secret.
    else faults.push({ path: variable, message: 'its value is not YAML; put quotes around what is meant literally' })
  }
  for (const [variable, path] of Object.entries(namedVariables)) {
    const value = env[variable]
    if (value === undefined || value === '') continue
    const other = origins.get(dotted(path))
    if (other !== undefined) warnings.push(`${other} is ignored, as ${variable} names the same key and wins`)
    assign(variable, path, value)
  }
  return { tree: result, warnings, faults, origins }

  function assign(variable: string, path: readonly string[], given: unknown): void {
    try {
      result = put(schema, result, path, given)
      origins.set(dotted(path), variable)
    } catch (error) {
      if (!(error instanceof Misplaced)) throw error
      faults.push({ path: variable, message: error.message })
    }
  }
}

/** The variables that name a key, those of a whole section before those of what is in it. */
function assignments(
  schema: Type.TSchema,
  env: Readonly<Record<string, string | undefined>>,
  warnings: string[],
): Assignment[] {
  const found: Assignment[] = []
  for (const [variable, value] of Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (!variable.startsWith('REGISTRY_') || value === undefined || variable === 'REGISTRY_CONFIGURATION_PATH') continue
    if (variable === 'REGISTRY_VERSION') {
      warnings.push('REGISTRY_VERSION is ignored: the version stands in the file alone')
      continue
    }
    const path = locate(schema, variable.split('_').slice(1))
    if (path === undefined) warnings.push(`${variable} is ignored: it names no key of the configuration`)
    else found.push({ variable, value, path })
  }
  return found.toSorted((a, b) => comparePaths(a.path, b.path))
}

/** Walks the schema by the parts of a variable's name; undefined when there is no such key. */
function locate(schema: Type.TSchema, parts: readonly string[]): string[] | undefined {
  const [part, ...rest] = parts
  if (part === undefined) return []
  const [key, below] = step(schema, part)
  if (key === undefined || below === undefined) return undefined
  const path = locate(below, rest)
  return path && [key, ...path]
}

/** One part of a name: the key it stands for at this place of the schema, and the schema of what is there. */
function step(schema: Type.TSchema, part: string): [key?: string, below?: Type.TSchema] {
  if (part === '') return []
  if (Type.IsArray(schema)) return [part, schema.items]
  if (Type.IsRecord(schema)) return [part.toLowerCase(), Type.RecordValue(schema)]
  if (Type.IsUnknown(schema)) return [part.toLowerCase(), schema]
  if (!Type.IsObject(schema)) return []
  return (
    Object.entries(schema.properties).find(
      ([key, property]) => sameName(key, part) || ('environment' in property && property.environment === part),
    ) ?? []
  )
}

/** Short paths before the longer ones below them, list elements by number. */
function comparePaths(a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index]
    if (other === undefined) return 1
    if (part !== other) return Number(part) - Number(other) || (part < other ? -1 : 1)
  }
  return a.length - b.length
}

/** The value with `given` put at the path below it. @throws Misplaced */
function put(schema: Type.TSchema, current: unknown, path: readonly string[], given: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return shape(schema, given)
  const [, below] = step(schema, key)
  if (below === undefined) throw new Misplaced('it names no key of the configuration')
  if (Type.IsArray(schema) || Array.isArray(current)) return putElement(below, current, { index: key, rest, given })
  return putEntry(below, current, { key, rest, given })
}

function putElement(
  schema: Type.TSchema,
  current: unknown,
  { index, rest, given }: { index: string; rest: readonly string[]; given: unknown },
): unknown {
  const list: readonly unknown[] = Array.isArray(current) ? current : []
  const at = Number(index)
  if (!/^\d+$/.test(index)) throw new Misplaced(`${index} stands where the number of a list's element has to`)
  if (at > list.length) {
    throw new Misplaced(`the list has ${list.length} elements, so ${list.length} is the number of the next one`)
  }
  const element = put(schema, list[at], rest, given)
  if (element === undefined) return list
  return at === list.length ? [...list, element] : list.with(at, element)
}

function putEntry(
  schema: Type.TSchema,
  current: unknown,
  { key, rest, given }: { key: string; rest: readonly string[]; given: unknown },
): unknown {
  if (current !== undefined && current !== null && !isTree(current)) {
    throw new Misplaced('a value stands where it needs a map; unset the variable or correct what it is put into')
  }
  const map: Tree = current ?? {}
  const existing = Object.keys(map).find(name => sameName(name, key)) ?? key
  const { [existing]: before, ...others } = map
  const value = put(schema, before, rest, given)
  return value === undefined ? others : { ...others, [existing]: value }
}

function sameName(key: string, part: string): boolean {
  return key.toLowerCase() === part.toLowerCase()
}

/** `health.http[0].uri`: the way paths are written in faults. */
function dotted(path: readonly string[]): string {
  return path
    .map(part => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`))
    .join('')
    .slice(1)
}

/** A variable whose name leads to a place that is not there. */
class Misplaced extends Error {}
