import { Type } from 'typebox'
import type { Fault } from '../check.ts'
import { entry, flag, lifetime, network, oneOf, section, whole } from '../fields.ts'
import { at, isTree, textAt } from '../tree.ts'
import { serverWithScheme } from './storage-fields.ts'

/** S3 takes no URL that is good for longer. */
const week = 7 * 24 * 3_600_000

const rule = entry({
  /** Of which clients; all when left out. */
  networks: Type.Optional(Type.Array(network())),
  action: oneOf(['redirect', 'proxy']),
  /** The URL under which these clients reach the store, where it is another one. */
  endpoint: Type.Optional(serverWithScheme()),
})

/** Downloads that the store serves itself. `disable` is of registry:2, the rest Berth's own. */
export const redirect = section({
  disable: flag(false),
  /** For how long a URL is good. */
  expires: lifetime({ most: week, default: '20m' }),
  /** Bytes; smaller blobs are sent by Berth. */
  minsize: whole({ minimum: 0, default: 0 }),
  /** The first that is for the client counts; without one it is redirected. */
  rules: Type.Array(rule, { default: [] }),
})

/** Whether a shaped tree has something other than the defaults here. */
export function asksForMore(tree: unknown): boolean {
  const given = at(tree, 'storage.redirect')
  if (!isTree(given)) return false
  return Object.entries(redirect.properties).some(([key, property]) => {
    const standard = 'default' in property ? property.default : undefined
    return given[key] !== undefined && JSON.stringify(given[key]) !== JSON.stringify(standard)
  })
}

/** What a schema can't say of the rules in a shaped tree. */
export function* checkRedirect(tree: unknown): Iterable<Fault> {
  const rules = at(tree, 'storage.redirect.rules')
  if (!Array.isArray(rules)) return
  let forAll: string | undefined
  for (const [index, rule] of rules.entries()) {
    const path = `storage.redirect.rules[${index}]`
    if (!isTree(rule)) continue
    const { networks, endpoint } = rule
    if (forAll !== undefined) yield { path, message: `never counts, since ${forAll} is for all clients` }
    if (networks === undefined) forAll ??= path
    if (Array.isArray(networks) && networks.length === 0)
      yield { path: `${path}.networks`, message: 'is empty; name a network, or leave it out for all clients' }
    if (endpoint !== undefined && textAt(rule, 'action')?.toLowerCase() === 'proxy')
      yield {
        path: `${path}.endpoint`,
        message: 'has no meaning with the action proxy: Berth itself reaches the store',
      }
  }
}
