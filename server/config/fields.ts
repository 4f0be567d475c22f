import { closest } from 'fastest-levenshtein'
import { Type } from 'typebox'
import { isNetwork } from '../lib/networks.ts'
import { formatAddress, parseTcpAddress, type TcpAddress } from './address.ts'
import { formatDuration, parseDuration, type Milliseconds } from './duration.ts'
import { formatRegExp, parseRegExp } from './regexp.ts'

/*
 * The kinds of values that a configuration is made of. Each is a TypeBox type whose static side is what stands in
 * the file and whose decoded side is what the program works with. A default is written as it would be in the file.
 */

/** A map of known keys which is there, with its defaults, even when the file does not name it. */
export function section<Properties extends Type.TProperties>(
  properties: Properties,
  options: Type.TObjectOptions = {},
) {
  return Type.Object(properties, { ...options, additionalProperties: false, default: {} })
}

/** A map of known keys which is there only when it was given: an element of a list, or an optional part. */
export function entry<Properties extends Type.TProperties>(properties: Properties, options: Type.TObjectOptions = {}) {
  return Type.Object(properties, { ...options, additionalProperties: false })
}

/** An `entry` all of whose keys may be left out. */
export function partial<Properties extends Type.TProperties>(
  properties: Properties,
  options: Type.TObjectOptions = {},
) {
  return Type.Partial(Type.Object(properties), { ...options, additionalProperties: false })
}

export function text(standard?: string) {
  return Type.String(standard === undefined ? {} : { default: standard })
}

export function flag(standard?: boolean) {
  return Type.Boolean(standard === undefined ? {} : { default: standard })
}

export function whole(options: { minimum?: number; default?: number } = {}) {
  return Type.Integer(options)
}

/** A whole number from 1 to `most`, or the word `auto`: as many as fit the machine. */
export function countOrAuto(standard: number, most: number) {
  const given = Type.Refine(
    Type.Union([Type.Number(), Type.String()], { default: standard }),
    value => isAuto(value) || (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most),
    value => `has to be a whole number from 1 to ${most}, or auto, not ${JSON.stringify(value)}`,
  )
  return Type.Codec(given)
    .Decode((value): number | 'auto' => (isAuto(value) ? 'auto' : Number(value)))
    .Encode(value => value)
}

function isAuto(value: string | number): boolean {
  return typeof value === 'string' && value.toLowerCase() === 'auto'
}

/** Text that must pass a check; `wrong` says what is the matter with a text that does not. */
export function checked(passes: (text: string) => boolean, wrong: (text: string) => string, standard?: string) {
  return Type.Refine(text(standard), passes, wrong)
}

/** A positive number where the original takes zero (and, without a minimum, less) for "the default". */
export function positiveOr(standard: number, options: { minimum?: number } = {}) {
  return Type.Codec(Type.Integer({ ...options, default: standard }))
    .Decode(value => (value > 0 ? value : standard))
    .Encode(value => value)
}

/** One of a set of words, whatever their case. */
export function oneOf<Word extends string>(words: readonly Word[], standard?: Word) {
  const find = (text: string) => words.find(word => word.toLowerCase() === text.toLowerCase())
  const given = checked(
    text => find(text) !== undefined,
    text =>
      words.length > 10
        ? `${JSON.stringify(text)} is unknown; the nearest known one is ${closest(text, [...words])}`
        : `${JSON.stringify(text)} is none of ${words.join(', ')}`,
    standard,
  )
  return Type.Codec(given)
    .Decode((text): Word => found(find(text)))
    .Encode(word => word)
}

/** A Go duration; decodes into milliseconds. */
export function duration(standard?: string) {
  return milliseconds(
    checked(
      text => (parseDuration(text) ?? -1) >= 0,
      text => `${JSON.stringify(text)} is not a duration like 10s, 1h30m or 168h`,
      standard,
    ),
  )
}

/**
 * The pause between two runs of something; decodes into milliseconds. Zero stands for the default, as in the
 * original. Less than a millisecond is a fault: `interval: 10` is ten nanoseconds, and never what was meant.
 */
export function interval(standard: string) {
  const given = checked(
    text => {
      const parsed = parseDuration(text) ?? -1
      return parsed === 0 || parsed >= 1
    },
    text =>
      /^\d+$/.test(text)
        ? `${text} without a unit means nanoseconds; write ${text}s for seconds`
        : `${JSON.stringify(text)} is not a pause like 10s, 1m30s or 24h`,
    standard,
  )
  return Type.Codec(given)
    .Decode((text): Milliseconds => parseDuration(text) || found(parseDuration(standard)))
    .Encode(formatDuration)
}

/** For how long something is good: from a second to `most`; decodes into milliseconds. */
export function lifetime({ most = Infinity, default: standard }: { most?: Milliseconds; default?: string } = {}) {
  return milliseconds(
    checked(
      text => {
        const parsed = parseDuration(text) ?? 0
        return parsed >= 1000 && parsed <= most
      },
      text =>
        /^\d+$/.test(text)
          ? `${text} without a unit means nanoseconds; write ${text}s for seconds`
          : `${JSON.stringify(text)} is not a time like 20m, ${most === Infinity ? 'at least 1s' : `from 1s to ${formatDuration(most)}`}`,
      standard,
    ),
  )
}

function milliseconds(type: ReturnType<typeof checked>) {
  return Type.Codec(type)
    .Decode((text): Milliseconds => found(parseDuration(text)))
    .Encode(formatDuration)
}

/** `HOST:PORT` or `:PORT`. */
export function tcpAddress() {
  const given = checked(
    text => parseTcpAddress(text) !== undefined,
    text => `${JSON.stringify(text)} is not an address like 127.0.0.1:5000, [::1]:5000 or :5000`,
  )
  return Type.Codec(given)
    .Decode((text): TcpAddress => found(parseTcpAddress(text)))
    .Encode(formatAddress)
}

/** A network of Internet addresses, or one address; also one of `words`, which stand for something else. */
export function network(words: readonly string[] = []) {
  return checked(
    text => isNetwork(text) || words.includes(text),
    text => `${JSON.stringify(text)} is not a network like 10.0.0.0/8 or 2001:db8::/32`,
  )
}

/** A regular expression in Go's syntax, as far as `parseRegExp` takes it. */
export function regularExpression() {
  const given = checked(
    text => typeof parseRegExp(text) !== 'string',
    text => `${JSON.stringify(text)} does not compile as a regular expression: ${String(parseRegExp(text))}`,
  )
  return Type.Codec(given).Decode(compiled).Encode(formatRegExp)
}

function compiled(text: string): RegExp {
  const pattern = parseRegExp(text)
  if (typeof pattern === 'string') throw new TypeError(pattern)
  return pattern
}

/** Decoders run on values that were checked: what they look for is there. */
function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new TypeError('a value was decoded that had not been checked')
  return value
}
