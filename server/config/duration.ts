/** A span of time in milliseconds; fractions are possible, as the configuration can name nanoseconds. */
export type Milliseconds = number

const inMilliseconds: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, the micro sign
  μs: 1e-3, // U+03BC, the Greek letter: Go takes both
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

const term = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/**
 * Reads a duration as Go writes it: `10s`, `168h`, `1h30m`, `1.5s`; a bare integer is nanoseconds, as registry:2 has
 * it. Undefined when the text is none. A negative one is a number below zero: whether it makes sense is the caller's
 * affair.
 */
export function parseDuration(text: string): Milliseconds | undefined {
  if (/^[-+]?\d+$/.test(text)) return Number(text) * 1e-6
  const [, sign, terms = ''] = /^([-+]?)(.+)$/s.exec(text) ?? []
  if (terms.replaceAll(term, '') !== '') return undefined
  let sum = 0
  let found = false
  for (const [, amount, unit = ''] of terms.matchAll(term)) {
    sum += Number(amount) * (inMilliseconds[unit] ?? Number.NaN)
    found = true
  }
  if (!found) return undefined
  return sign === '-' ? -sum : sum
}

/** A spelling that `parseDuration` reads back as the same, as short as it goes: 90,500 is `1m30.5s`. */
export function formatDuration(duration: Milliseconds): string {
  if (duration < 0) return `-${formatDuration(-duration)}`
  const hours = Math.floor(duration / 3_600_000)
  const minutes = Math.floor(duration / 60_000) % 60
  const rest = Number((duration % 60_000).toFixed(6))
  const terms = [hours > 0 ? `${hours}h` : '', minutes > 0 ? `${minutes}m` : '', rest > 0 ? formatSeconds(rest) : '']
  return terms.join('') || '0s'
}

function formatSeconds(duration: Milliseconds): string {
  if (duration >= 1000) return `${duration / 1000}s`
  return duration >= 1 ? `${duration}ms` : `${Math.round(duration * 1e6)}ns`
}
