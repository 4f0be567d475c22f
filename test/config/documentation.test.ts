import { readFileSync } from 'node:fs'
import t from 'tap'
import { Type } from 'typebox'
import { ConfigSchema } from '../../server/config/config.ts'
import { engines } from '../../server/config/sections/storage-quay.ts'

const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
const documented = new Set(
  [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code.replace(/:? (true|false)$/, '')),
)

/** Other names for a section that is documented. */
const aliases = ['storage.s3aws', 'storage.s3goamz']

/** The paths of all keys with a value, `[]` standing for the elements of a list; sections that are documented as one. */
function* keys(schema: Type.TSchema, path: string): Iterable<string> {
  if (Type.IsObject(schema) && !isRefused(path) && !aliases.includes(path)) {
    for (const [key, property] of Object.entries(schema.properties)) {
      yield* keys(property, path === '' ? key : `${path}.${key}`)
    }
  } else {
    yield path
    if (Type.IsArray(schema) && Type.IsObject(schema.items) && !isRefused(path)) yield* keys(schema.items, `${path}[]`)
  }
}

/** The keys in the first column of the tables of what is refused. */
const refused = text
  .slice(text.indexOf('## Keys that are refused'))
  .matchAll(/^\| ([^|]+) \|/gm)
  .map(([, cell = '']) => cell)
  .toArray()
  .join()

function isRefused(path: string): boolean {
  return refused.includes(`\`${path}\``)
}

t.test('every key is in the documentation', async t => {
  for (const key of keys(ConfigSchema, '')) {
    t.ok(documented.has(key) || key === 'auth.none', key)
  }
})

t.test('every engine of Quay is in the documentation, with its parameters', async t => {
  for (const [name, { parameters }] of Object.entries(engines)) {
    t.ok(documented.has(name), name)
    for (const key of keys(parameters, '')) t.ok(documented.has(key.replace('os_options.', '')), `${name}: ${key}`)
  }
})

t.test('every default in the documentation is the one in force', async t => {
  const rows = [...text.matchAll(/^\| `([a-z0-9_.[\]]+)` \| `([^`]+)` \|/gm)]
  t.ok(rows.length > 40, `there are ${rows.length} rows with defaults`)
  for (const [, key = '', standard] of rows) {
    const value = defaultOf(key)
    t.equal(typeof value === 'string' ? value : JSON.stringify(value), standard, key)
  }
})

/** The default which the schema has for a key, as it would be written in a file. */
function defaultOf(path: string): unknown {
  let schema: Type.TSchema | undefined = ConfigSchema
  for (const part of path.replaceAll('[]', '.[]').split('.')) {
    if (Type.IsArray(schema) && part === '[]') schema = schema.items
    else schema = Type.IsObject(schema) ? schema.properties[part] : undefined
  }
  return schema && 'default' in schema ? schema.default : undefined
}
