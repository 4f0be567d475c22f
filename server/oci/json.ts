import { RegistryError } from './errors.ts'

export type JsonObject = Record<string, unknown>

/** Deeper than any manifest, and far from what recursion can bear. */
const deepest = 64

/**
 * Reads the JSON object of a manifest, strictly: UTF-8, no byte order mark, no key twice in one object (two readers could
 * take different ones for the manifest's meaning), not nested deeper than `deepest`.
 * @throws RegistryError MANIFEST_INVALID
 */
export function parseJsonObject(bytes: Uint8Array): JsonObject {
  const text = decode(bytes)
  // Before JSON.parse: the scan needs no memory for what is nested too deeply.
  const fault = shapeFault(text)
  if (fault !== undefined) throw invalid(fault)
  const value = parse(text)
  if (!isJsonObject(value)) throw invalid('a manifest is a JSON object')
  return value
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw invalid('it is not UTF-8', error)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : 'it is not JSON', error)
  }
}

/** Depth and duplicate keys, in one pass over the text. Text that is not JSON may pass: JSON.parse tells of that. */
function shapeFault(text: string): string | undefined {
  // For each open bracket: the keys seen so far, or undefined for an array.
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '{' || character === '[') {
      if (open.push(character === '{' ? new Set() : undefined) > deepest)
        return `it is nested more than ${deepest} deep`
    } else if (character === '}' || character === ']') {
      open.pop()
    } else if (character === '"') {
      const end = endOfString(text, at)
      const keys = open.at(-1)
      if (keys !== undefined && isKey(text, end)) {
        const key = unescaped(text.slice(at, end))
        if (keys.has(key)) return `the key ${key.slice(0, 100)} stands twice in one object`
        keys.add(key)
      }
      at = end - 1
    }
  }
  return undefined
}

/** The place behind the closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
  return text.length
}

function isKey(text: string, end: number): boolean {
  while (end < text.length && /\s/.test(text[end] ?? '')) end++
  return text[end] === ':'
}

/** `"a"` and `"\u0061"` are one key. */
function unescaped(quoted: string): string {
  if (!quoted.includes('\\')) return quoted
  try {
    return JSON.stringify(JSON.parse(quoted))
  } catch {
    return quoted
  }
}

function invalid(reason: string, cause?: unknown): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { message: `manifest invalid: ${reason}`, cause })
}
