import { Type } from 'typebox'
import { checked } from '../fields.ts'

/** Kinds of values that the sections of several storage drivers have. */

export const mebibyte = 2 ** 20
export const gibibyte = 2 ** 30

/** A whole number within bounds, both included. */
export function bounded({ least, most, standard }: { least: number; most: number; standard?: number }) {
  return Type.Refine(
    Type.Integer(standard === undefined ? {} : { default: standard }),
    value => value >= least && value <= most,
    value => `has to be from ${least} to ${most}, not ${value}`,
  )
}

/** Bytes of a part of a multipart upload, within what S3 takes. */
export function partSize() {
  return bounded({ least: 5 * mebibyte, most: 5 * gibibyte, standard: 10 * mebibyte })
}

/** How many parts of one upload are on their way at a time: each has the memory of a part. */
export function parallel() {
  return bounded({ least: 1, most: 16, standard: 4 })
}

/** A server: `HOST`, `HOST:PORT`, or a URL, which may have a path. What is wrong with one is told without showing it. */
export function server() {
  return checked(
    text => plainUrl(serverUrl(text, true)) !== undefined,
    () => 'is not a server, as in https://store.example.com:9000 or store.example.com:9000',
  )
}

/** The URL of a server with its scheme, which may have a path. */
export function serverWithScheme() {
  return checked(
    text => plainUrl(text) !== undefined,
    () => 'is not the URL of a server, as in https://store.example.com:9000',
  )
}

/** The URL of a server with its scheme and nothing behind host and port. */
export function origin() {
  return checked(
    text => ['', '/'].includes(plainUrl(text)?.pathname ?? '?'),
    () => 'is not the URL of a server without a path, as in https://store.example.com:9000',
  )
}

/** The URL that a `server` means; `secure` says how one without a scheme is spoken to. */
export function serverUrl(text: string, secure: boolean): string {
  const url = text.includes('://') ? text : `${secure ? 'https' : 'http'}://${text}`
  return url.replace(/\/+$/, '')
}

/** An HTTP URL without user, query and fragment. */
function plainUrl(text: string): URL | undefined {
  if (!/^https?:\/\//i.test(text) || /[?#@]/.test(text) || !URL.canParse(text)) return undefined
  return new URL(text)
}

/** An object without those of its keys that have no value. */
type Given<Values> = { [Key in keyof Values as undefined extends Values[Key] ? never : Key]: Values[Key] } & {
  [Key in keyof Values as undefined extends Values[Key] ? Key : never]?: Exclude<Values[Key], undefined>
}

/** The same object without the keys whose value is undefined. */
export function given<Values extends object>(values: Values): Given<Values>
export function given(values: object): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
