/** A part of a list that is paged by its own order: what comes after `last`, at most `n`. */
export interface PageRequest {
  /** Undefined: as many as may be. */
  n: number | undefined
  /** Exclusive; need not be in the list. */
  last: string
}

export interface Page<Item> {
  items: Item[]
  /** Whether anything comes after these. */
  more: boolean
}

/** Reads one item more than asked for, to know whether there is a next page. Costs the same anywhere in the list. */
export async function pageOf<Item>(
  { n, last, most }: PageRequest & { most: number },
  read: (bounds: { after: string; limit: number }) => Promise<Item[]>,
): Promise<Page<Item>> {
  const size = Math.min(n ?? most, most)
  // The specification wants an empty list without a Link for n=0.
  if (size === 0) return { items: [], more: false }
  const items = await read({ after: last, limit: size + 1 })
  return { items: items.slice(0, size), more: items.length > size }
}
