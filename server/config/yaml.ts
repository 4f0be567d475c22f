import { parseDocument, visit } from 'yaml'

/**
 * A scalar that stands unquoted in YAML and that could be read as more than text: `0123` may be a secret or a number.
 * Only the schema knows, so both readings are kept until it is asked (`shape.ts`).
 */
export interface PlainScalar {
  readonly [plainScalar]: true
  /** What stands in the file. */
  readonly text: string
  /** What YAML 1.2 makes of it: a number, a boolean or null. */
  readonly value: unknown
}

const plainScalar = Symbol('plain scalar')

export function isPlainScalar(value: unknown): value is PlainScalar {
  return typeof value === 'object' && value !== null && plainScalar in value
}

/**
 * Reads one YAML document into maps, lists, strings and plain scalars. `faults` says what is wrong, one sentence
 * each with the line; the value is undefined then. Anchors, aliases and merge keys (`<<`) are resolved; a key that
 * stands twice in one map is a fault.
 */
export function readYaml(text: string): { value: unknown; faults: string[] } {
  const document = parseDocument(text, { merge: true, prettyErrors: true })
  if (document.errors.length > 0) {
    // The first line of a message says what and where; the lines after it draw the place, secrets included.
    return {
      value: undefined,
      faults: document.errors.map(error => error.message.split('\n')[0]?.replace(/:$/, '') ?? ''),
    }
  }
  visit(document, {
    Scalar(key, node) {
      if (key !== 'key' && node.type === 'PLAIN' && typeof node.value !== 'string') {
        const scalar: PlainScalar = { [plainScalar]: true, text: node.source ?? '', value: node.value }
        node.value = scalar
      }
    },
  })
  try {
    return { value: document.toJS(), faults: [] }
  } catch (error) {
    return { value: undefined, faults: [error instanceof Error ? error.message : String(error)] }
  }
}
