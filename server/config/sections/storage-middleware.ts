import { resolve } from 'node:path'
import { Type } from 'typebox'
import type { Fault } from '../check.ts'
import type { Milliseconds } from '../duration.ts'
import { flag, lifetime, oneOf, partial, text } from '../fields.ts'
import { at, isTree, textAt, type Tree } from '../tree.ts'
import { given } from './storage-fields.ts'

/** The options of all kinds together: `kinds` says which belong to which. */
const options = partial({
  baseurl: text(),
  privatekey: text(),
  keypairid: text(),
  duration: lifetime(),
  ipfilteredby: oneOf(['none', 'aws', 'awsregion']),
  awsregion: text(),
  updatefrequency: text(),
  /** As registry:2 spelt it for a while. */
  updatefrenquency: text(),
  iprangesurl: text(),
  scheme: oneOf(['http', 'https']),
  host: text(),
  trimpathprefix: text(),
})

/** What is done to the URLs to which downloads are redirected (`middleware.storage`), one after the other. */
export const storageMiddleware = Type.Array(partial({ name: text(), disabled: flag(), options }))

/** An entry that is in force. */
export type StorageMiddleware =
  | {
      name: 'cloudfront'
      options: { baseurl: string; privatekey: string; keypairid: string; duration?: Milliseconds }
    }
  | { name: 'redirect'; options: { baseurl: string } }
  | {
      name: 'rewrite'
      options: { scheme?: 'http' | 'https'; host?: string; trimpathprefix?: string }
    }

/** Options that only have a meaning with the lists of Amazon's networks, which Berth does not fetch. */
const ofLists = ['awsregion', 'updatefrequency', 'updatefrenquency', 'iprangesurl'] as const

interface Kind {
  needed: readonly string[]
  possible: readonly string[]
}

const kinds: Readonly<Record<string, Kind>> = {
  cloudfront: { needed: ['baseurl', 'privatekey', 'keypairid'], possible: ['duration', 'ipfilteredby', ...ofLists] },
  redirect: { needed: ['baseurl'], possible: [] },
  rewrite: { needed: [], possible: ['scheme', 'host', 'trimpathprefix'] },
}

const isOption = (option: string, { needed, possible }: Kind) => needed.includes(option) || possible.includes(option)
/** What is an option of none is told already. */
const isOfAny = (option: string) => Object.values(kinds).some(kind => isOption(option, kind))

/** What is wrong with the entries of a shaped tree that are not switched off, beyond what the schema says. */
export function* checkStorageMiddleware(tree: unknown): Iterable<Fault> {
  for (const { name, path, options } of entriesOf(tree)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
    if (kind === undefined) {
      const known = Object.keys(kinds).join(', ')
      yield {
        path: `${path}.name`,
        message: `is none of the middlewares that Berth has (${known}); correct it, or set disabled: true in the entry`,
      }
      continue
    }
    for (const option of kind.needed.filter(option => options[option] === undefined))
      yield { path: `${path}.options.${option}`, message: `is missing, which ${name} needs` }
    for (const option of Object.keys(options).filter(option => !isOption(option, kind) && isOfAny(option)))
      yield { path: `${path}.options.${option}`, message: `is no option of ${name}; remove it` }
    if (name === 'rewrite' && Object.keys(options).length === 0)
      yield { path: `${path}.options`, message: `says nothing; give one of ${kind.possible.join(', ')}` }
    yield* checkValues(name, path, options)
    yield* checkDriver(tree, { name, path })
  }
}

function* checkValues(name: string, path: string, options: Tree): Iterable<Fault> {
  const baseurl = textAt(options, 'baseurl')
  if (baseurl !== undefined && !isBaseUrl(baseurl, name === 'cloudfront'))
    yield {
      path: `${path}.options.baseurl`,
      message: `${JSON.stringify(baseurl)} is not a URL like https://images.example.com`,
    }
  const host = textAt(options, 'host')
  if (host !== undefined && !/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(host))
    yield {
      path: `${path}.options.host`,
      message: `${JSON.stringify(host)} is not a host like images.example.com:8443`,
    }
  const filter = textAt(options, 'ipfilteredby')?.toLowerCase()
  if (name === 'cloudfront' && (filter === 'aws' || filter === 'awsregion'))
    yield {
      path: `${path}.options.ipfilteredby`,
      message:
        'Berth does not fetch the list of Amazon\'s networks. Set it to none, and name those that are to go to S3 itself in storage.redirect.rules: {networks: [10.0.0.0/8], action: redirect, endpoint: "https://s3.eu-west-1.amazonaws.com"}',
    }
}

/** What of the driver an entry needs: objects of S3, or any URL. */
function* checkDriver(tree: unknown, { name, path }: { name: string; path: string }): Iterable<Fault> {
  const isOf = (driver: string) => at(tree, `storage.${driver}`) !== undefined
  if (name === 'cloudfront' && ['filesystem', 'swift', 'azure'].some(isOf))
    yield { path, message: 'cloudfront serves the objects of S3: use it with storage.s3, or remove it' }
  if (name === 'rewrite' && isOf('filesystem') && !hasBaseUrl(tree))
    yield { path, message: 'rewrite has nothing to do: files are never served by redirects; remove it' }
}

/** Whether a middleware in force gives out objects by a server of the operator's, which makes URLs of any driver's. */
export function hasBaseUrl(tree: unknown): boolean {
  return entriesOf(tree).some(({ name }) => name === 'redirect')
}

function entriesOf(tree: unknown): { name: string; path: string; options: Tree }[] {
  const entries = at(tree, 'middleware.storage')
  if (!Array.isArray(entries)) return []
  return entries.flatMap((entry: unknown, index) => {
    if (!isTree(entry) || entry['disabled'] === true) return []
    const { name = '', options = {} } = entry
    return [{ name: String(name), path: `middleware.storage[${index}]`, options: isTree(options) ? options : {} }]
  })
}

/** CloudFront's may leave https out. */
function isBaseUrl(text: string, schemeMayMiss: boolean): boolean {
  const url = schemeMayMiss && !text.includes('://') ? `https://${text}` : text
  return /^https?:\/\/[^?#]+$/i.test(url) && URL.canParse(url)
}

/** The entries in force of a checked configuration, paths made absolute; `notes` are about what has no effect. */
export function finishStorageMiddleware(
  entries: Type.StaticDecode<typeof storageMiddleware>,
  cwd: string,
  notes: string[],
): StorageMiddleware[] {
  return entries.flatMap(({ name = '', disabled, options = {} }, index): StorageMiddleware[] => {
    if (disabled === true) return []
    const { baseurl = '', privatekey = '', keypairid = '', duration } = options
    switch (name) {
      case 'cloudfront': {
        const without = ofLists.filter(option => options[option] !== undefined)
        if (without.length > 0)
          notes.push(
            `middleware.storage[${index}].options: without effect, as no list is fetched: ${without.join(', ')}`,
          )
        return [{ name, options: given({ baseurl, privatekey: resolve(cwd, privatekey), keypairid, duration }) }]
      }
      case 'redirect':
        return [{ name, options: { baseurl } }]
      case 'rewrite': {
        const { scheme, host, trimpathprefix } = options
        return [{ name, options: given({ scheme, host, trimpathprefix }) }]
      }
      default:
        throw new TypeError('middleware.storage was not checked')
    }
  })
}
