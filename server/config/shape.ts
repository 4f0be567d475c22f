import { Type } from 'typebox'
import { isTree } from './tree.ts'
import { isPlainScalar } from './yaml.ts'

/**
 * Gives what YAML said the types that the schema asks for: `0123` becomes text where text is wanted, `yes` a boolean
 * where one is. Null and empty text are "nothing said": undefined, or an empty map where a map is wanted, so that
 * `inmemory:` names a driver. `storage: filesystem` becomes `storage: { filesystem: {} }`. What does not fit stays as
 * it is: `check.ts` reports it.
 */
export function shape(schema: Type.TSchema, given: unknown): unknown {
  if (Type.IsObject(schema)) return shapeObject(schema, given)
  if (Type.IsRecord(schema)) return shapeRecord(schema, given)
  if (Type.IsUnknown(schema)) return plain(given)
  if (isNull(given)) return undefined
  if (Type.IsArray(schema)) {
    return Array.isArray(given) ? given.map(item => shape(schema.items, item) ?? plain(item)) : plain(given)
  }
  if (Type.IsBoolean(schema)) return toBoolean(scalarText(given)) ?? plain(given)
  if (Type.IsInteger(schema)) return toInteger(scalarText(given)) ?? plain(given)
  const text = scalarText(given)
  if (Type.IsUnion(schema)) return text === '' ? undefined : (toInteger(text) ?? plain(given))
  return text === '' ? undefined : (text ?? plain(given))
}

function shapeObject(schema: Type.TObject, given: unknown): unknown {
  if (isNull(given)) return {}
  if (typeof given === 'string' && 'shorthand' in schema) return shapeObject(schema, { [given]: null })
  if (!isMap(given)) return plain(given)
  return fromEntries(given, (key, value) => {
    const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
    return property === undefined ? plain(value) : shape(property, value)
  })
}

function shapeRecord(schema: Type.TRecord, given: unknown): unknown {
  if (isNull(given)) return {}
  const values = Type.RecordValue(schema)
  return isMap(given) ? fromEntries(given, (_key, value) => shape(values, value)) : plain(given)
}

/** Without the second reading of plain scalars. */
function plain(given: unknown): unknown {
  if (isPlainScalar(given)) return given.value
  if (Array.isArray(given)) return given.map(plain)
  return isTree(given) ? fromEntries(given, (_key, value) => plain(value)) : given
}

function fromEntries(map: Record<string, unknown>, shaped: (key: string, value: unknown) => unknown) {
  const entries = Object.entries(map).map(([key, value]) => [key, shaped(key, value)] as const)
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function isMap(given: unknown): given is Record<string, unknown> {
  return isTree(given) && !isPlainScalar(given)
}

function isNull(given: unknown): boolean {
  return given === undefined || given === null || (isPlainScalar(given) && given.value === null)
}

function scalarText(given: unknown): string | undefined {
  if (isPlainScalar(given)) return given.text
  return typeof given === 'string' ? given : undefined
}

/** The words of YAML 1.1, which registry:2 reads. */
function toBoolean(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  if (/^(true|yes|on|y)$/i.test(text)) return true
  return /^(false|no|off|n)$/i.test(text) ? false : undefined
}

function toInteger(text: string | undefined): number | undefined {
  return text !== undefined && /^[-+]?\d[\d_]*$/.test(text) ? Number(text.replaceAll('_', '')) : undefined
}
