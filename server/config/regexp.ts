/**
 * Compiles a regular expression that was written for Go, whose syntax registry:2's configuration uses, or says why it
 * can't be: a sentence. What the two languages spell differently is respelt (flags at the beginning as in `(?i)...`,
 * `(?P<name>...)`, `\A`, `\z`, escaped punctuation); what JavaScript has not (POSIX classes as in `[[:alpha:]]`,
 * `\Q...\E`, flags in the middle) is refused and never read as something else: the `u` flag sees to that.
 */
export function parseRegExp(text: string): RegExp | string {
  const [, flags = '', body = ''] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(text) ?? []
  const respelt = body.replaceAll('(?P<', '(?<').replaceAll(/\\([\s\S])/g, respellEscape)
  try {
    return new RegExp(respelt, `u${[...new Set(flags)].join('')}`)
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : String(error)
  }
}

function respellEscape(pair: string, escaped: string): string {
  if (escaped === 'A') return '^'
  if (escaped === 'z') return '$'
  return /[ !"#%&',\-:;<=>@_`~]/.test(escaped) ? `\\x${escaped.charCodeAt(0).toString(16)}` : pair
}

/** A spelling in Go's syntax that `parseRegExp` reads back as the same. */
export function formatRegExp(pattern: RegExp): string {
  const flags = pattern.flags.replace('u', '')
  const source = pattern.source.replaceAll(/\\([\s\S])/g, (pair, escaped) => (escaped === '/' ? '/' : pair))
  return flags === '' ? source : `(?${flags})${source}`
}
