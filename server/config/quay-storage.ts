import { closest } from 'fastest-levenshtein'
import { Type } from 'typebox'
import { check, type Fault } from './check.ts'
import { flag, text } from './fields.ts'
import { type Engine, engines, otherEngines, type QuayCloudFront } from './sections/storage-quay.ts'
import type { DriverTree } from './sections/storage-quay-fields.ts'
import { shape } from './shape.ts'
import { at, isTree, textAt, type Tree } from './tree.ts'

/*
 * The blob store as Quay's configuration names it, in place of a driver in `storage`:
 *
 *   DISTRIBUTED_STORAGE_CONFIG:
 *     default: [RadosGWStorage, {hostname: rgw.example.com, bucket_name: quay, ...}]
 *
 * It is turned into the section of `storage` that says the same, and from there on the ways are one.
 */

/** Quay's keys about where blobs are. */
export const quayStorageKeys = {
  DISTRIBUTED_STORAGE_CONFIG: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  DISTRIBUTED_STORAGE_PREFERENCE: Type.Optional(Type.Array(text())),
  DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: Type.Optional(Type.Array(text())),
  /** Downloads come through the registry, and are not redirected to the store. */
  FEATURE_PROXY_STORAGE: Type.Optional(flag()),
}

const all = 'DISTRIBUTED_STORAGE_CONFIG'
const lists = ['DISTRIBUTED_STORAGE_PREFERENCE', 'DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS'] as const

/** The entry in use. */
interface Store {
  /** Of its parameters. */
  path: string
  engine: Engine
  parameters: Tree
}

/** What is wrong with these keys of a shaped tree, beyond what the schema says of them. */
export function checkQuayStorage(tree: unknown): Fault[] {
  const listed = checkLists(tree)
  const store = storeOf(tree)
  const faults = store === undefined ? [] : 'message' in store ? [store] : checkStore(store)
  if (at(tree, 'FEATURE_PROXY_STORAGE') === true && at(tree, 'storage.redirect.disable') === false) {
    faults.push({ path: 'FEATURE_PROXY_STORAGE', message: 'contradicts storage.redirect.disable: false; remove one' })
  }
  return [...listed, ...faults]
}

/** The section of `storage` that a checked tree means by these keys; undefined when it does not have them. */
export function quayStorage(
  tree: unknown,
): { section: DriverTree; cloudFront: QuayCloudFront | undefined } | undefined {
  const store = storeOf(tree)
  if (store === undefined) return undefined
  if ('message' in store) throw new TypeError(`${all} was not checked`)
  const { engine, parameters } = store
  return { section: engine.section(parameters), cloudFront: engine.cloudFront(parameters) }
}

/** One sentence for each of these keys in a checked tree that does nothing. */
export function notesOnQuayStorage(tree: unknown): string[] {
  const store = storeOf(tree)
  if (store === undefined || 'message' in store) return []
  const others = storesOf(tree).filter(([name]) => !store.path.startsWith(`${all}.${name}[`))
  return [
    ...others.map(([name]) => `${all}.${name} has no effect: ${lists[0]} does not name it`),
    ...Object.entries(store.engine.unused)
      .filter(([key]) => Object.hasOwn(store.parameters, key))
      .map(([key, why]) => `${store.path}.${key} has no effect: ${why}`),
  ]
}

function* checkLists(tree: unknown): Iterable<Fault> {
  const names = storesOf(tree).map(([name]) => name)
  for (const list of lists) {
    for (const [index, name] of namesIn(tree, list).entries()) {
      if (!names.includes(name))
        yield { path: `${list}[${index}]`, message: `names ${name}, which ${all} does not have` }
    }
  }
}

/** The entry that is in use, or why there is none; undefined when the tree does not have the key. */
function storeOf(tree: unknown): Store | Fault | undefined {
  if (!isTree(at(tree, all))) return undefined
  const stores = storesOf(tree)
  const wanted = new Set(lists.flatMap(list => namesIn(tree, list)))
  const [only, ...more] = stores.length === 1 ? stores : stores.filter(([name]) => wanted.has(name))
  if (stores.length === 0) {
    return {
      path: all,
      message: 'names no store, as in default: [LocalStorage, {storage_path: /datastorage/registry}]',
    }
  }
  if (only === undefined || more.length > 0) {
    const names = stores.map(([name]) => name).join(', ')
    return {
      path: all,
      message: `names ${stores.length} stores (${names}), and Berth keeps blobs in one; remove the others, or name it alone in ${lists.join(' and ')}`,
    }
  }
  return parse(...only)
}

function parse(name: string, entry: unknown): Store | Fault {
  const path = `${all}.${name}`
  const [engineName, parameters = {}, ...rest] = Array.isArray(entry) ? entry : []
  if (typeof engineName !== 'string' || !isTree(parameters) || rest.length > 0) {
    return {
      path,
      message: 'has to be a list of an engine and its parameters, as in [LocalStorage, {storage_path: /data}]',
    }
  }
  const engine = Object.hasOwn(engines, engineName) ? engines[engineName] : undefined
  if (engine === undefined) {
    const unknown = `${JSON.stringify(engineName)} is unknown; the nearest known one is ${closest(engineName, Object.keys(engines))}`
    const message = Object.hasOwn(otherEngines, engineName) ? otherEngines[engineName] : undefined
    return { path: `${path}[0]`, message: message ?? unknown }
  }
  const shaped = shape(engine.parameters, parameters)
  return { path: `${path}[1]`, engine, parameters: isTree(shaped) ? shaped : {} }
}

function checkStore({ path, engine, parameters }: Store): Fault[] {
  const faults = check(engine.parameters, parameters)
  const missing = (keys: readonly string[]) => keys.filter(key => textAt(parameters, key) === undefined)
  const [other] = missing(engine.pair)
  if (other !== undefined && missing(engine.pair).length === 1) {
    const [one] = engine.pair.filter(key => key !== other)
    faults.push({ path: other, message: `is missing: ${one} is of no use without it` })
  }
  const [first, ...others] = engine.needed
  if (first !== undefined && missing(engine.needed).length === engine.needed.length) {
    faults.push({ path: first, message: `is missing; or give ${others.join(' or ')}` })
  }
  return faults.map(fault => ({
    path: `${path}.${fault.path}`,
    // What stood there in the file is gone by now: 0123 is a number to YAML.
    message: fault.message.replace(/^has to be text, not a (number|boolean)$/, '$&; put quotes around it'),
  }))
}

function storesOf(tree: unknown): [name: string, entry: unknown][] {
  const stores = at(tree, all)
  return isTree(stores) ? Object.entries(stores) : []
}

function namesIn(tree: unknown, list: (typeof lists)[number]): string[] {
  const names = at(tree, list)
  return Array.isArray(names) ? names.filter(name => typeof name === 'string') : []
}
