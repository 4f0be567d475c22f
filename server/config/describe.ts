import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { stringify } from 'yaml'
import { formatAddress } from './address.ts'
import { ConfigSchema, type Config } from './config.ts'
import { maskSecrets } from './mask.ts'
import { isTree } from './tree.ts'

/**
 * The configuration in force as a YAML file, with every default written out and secrets masked (`***`). It can be
 * loaded again as it is, secrets aside.
 */
export function describeConfig(config: Config): string {
  const tree = Value.Encode(ConfigSchema, { ...config, http: describeHttp(config) })
  return stringify(maskSecrets(ordered(ConfigSchema, tree)), { lineWidth: 0 })
}

function describeHttp({ http }: Config) {
  const { addr, tls, ...rest } = http
  const written = { ...rest, addr: formatAddress(addr) }
  if (tls === undefined) return written
  const { ciphers: _ciphers, ...settings } = tls
  return { ...written, tls: settings }
}

/** The same in the order of the schema, whatever the order of the file was. */
function ordered(schema: Type.TSchema, value: unknown): unknown {
  if (Type.IsArray(schema) && Array.isArray(value)) return value.map(item => ordered(schema.items, item))
  if (!Type.IsObject(schema) || !isTree(value)) return value
  const entries = Object.entries(schema.properties).filter(([key]) => value[key] !== undefined)
  return Object.fromEntries(entries.map(([key, property]) => [key, ordered(property, value[key])]))
}
