import { closest } from 'fastest-levenshtein'
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'

/** Takes YAML apart and notes every mistake with its line, so that all can be told at once. */
export interface YamlReader {
  /** The whole of the document. */
  readonly root: unknown
  /** The entries of a map by their keys; undefined when it is not one. With `known`, any other key is a mistake. */
  entries(node: unknown, options: { what: string; known?: readonly string[] }): Map<string, Entry> | undefined
  /** The elements of a list; none when it is not one. */
  list(node: unknown, what: string): unknown[]
  /** The texts of a list, or of the one text that stands in its place; numbers and the like as they are written. */
  textNodes(node: unknown, what: string): { text: string; node: unknown }[]
  texts(node: unknown, what: string): string[]
  flag(node: unknown, what: string): boolean
  mistake(node: unknown, sentence: string): void
  /** @throws Error with all mistakes in the order of their lines, when there were any */
  end(): void
}

export interface Entry {
  value: unknown
}

export function createYamlReader(text: string): YamlReader {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false })
  const mistakes = document.errors.map(({ pos: [at], message }) => ({ line: lineAt(at), sentence: plainly(message) }))
  // What else is wrong follows from it.
  const broken = mistakes.length > 0

  function lineAt(offset: number): number {
    return Math.max(1, lineCounter.linePos(offset).line)
  }

  function mistake(node: unknown, sentence: string): void {
    if (!broken) mistakes.push({ line: isNode(node) && node.range ? lineAt(node.range[0]) : 1, sentence })
  }

  function resolved(node: unknown): unknown {
    if (!isAlias(node)) return node
    const found = node.resolve(document)
    if (found === undefined) mistake(node, unquoted(`*${node.source}`))
    return found
  }

  function textOf(node: unknown): string | undefined {
    const scalar = resolved(node)
    if (!isScalar(scalar) || scalar.value === null) return undefined
    return (typeof scalar.value === 'string' ? scalar.value : scalar.source) || undefined
  }

  const reader: YamlReader = {
    root: document.contents,
    mistake,

    entries(node, { what, known }) {
      const map = resolved(node)
      if (!isMap(map)) {
        if (!isAlias(node) || map !== undefined) mistake(node, `${what} has to be a map of keys`)
        return undefined
      }
      const found = new Map<string, Entry>()
      for (const { key, value } of map.items) {
        const name = textOf(key)
        if (name === undefined) mistake(key, `a key of ${what} has to be text`)
        if (name === undefined) continue
        if (known?.includes(name) === false)
          mistake(key, `${what} has no key ${JSON.stringify(name)}; the nearest one is ${closest(name, [...known])}`)
        // An empty value has no node of its own.
        found.set(name, { value: value ?? key })
      }
      return found
    },

    list(node, what) {
      const list = resolved(node)
      if (isSeq(list)) return list.items
      if (!isAlias(node) || list !== undefined) mistake(node, `${what} has to be a list`)
      return []
    },

    textNodes(node, what) {
      const value = resolved(node)
      if (isAlias(node) && value === undefined) return []
      const items: unknown[] = isSeq(value) ? value.items : [value]
      return items.flatMap(item => {
        const text = textOf(item)
        if (text !== undefined) return [{ text, node: item }]
        if (!isAlias(item)) mistake(isNode(item) ? item : node, `${what} has to be a list of texts`)
        return []
      })
    },

    texts: (node, what) => reader.textNodes(node, what).map(({ text }) => text),

    flag(node, what) {
      const scalar = resolved(node)
      if (isScalar(scalar) && typeof scalar.value === 'boolean') return scalar.value
      if (!isAlias(node) || scalar !== undefined) mistake(node, `${what} has to be true or false`)
      return false
    },

    end() {
      if (mistakes.length === 0) return
      const sentences = mistakes
        .toSorted((a, b) => a.line - b.line)
        .map(({ line, sentence }) => `line ${line}: ${sentence.replace(/\.$/, '')}`)
      throw new Error(sentences.join('; '))
    },
  }
  return reader
}

function unquoted(text: string): string {
  return `put quotes around '${text}': without them it is a reference in YAML`
}

/** What the parser says, for those who do not know its words. */
function plainly(message: string): string {
  if (message === 'Alias cannot be an empty string') return unquoted('*')
  return message.includes('multiple documents') ? 'a second document begins here: the file is one' : message
}
