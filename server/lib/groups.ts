/** Work that is done for several who ask at once, in one go. */
export interface Groups<Item, Result> {
  /** Resolves with what the work has for this item. @throws whatever the work for its group throws */
  add(this: void, item: Item): Promise<Result>
}

export interface GroupsOptions<Item, Result> {
  /** Groups that are under way at a time. */
  atOnce: number
  /** Items in a group at most. */
  most: number
  /** Items of the same key never come into the same group. */
  key(this: void, item: Item): string
  /** @returns a result for each item, in their order */
  work(this: void, items: readonly Item[]): Promise<readonly Result[]>
}

interface Waiting<Item, Result> {
  item: Item
  resolve: (result: Result) => void
  reject: (reason: unknown) => void
}

/** Whoever asks while nothing is under way is served at once; those who ask meanwhile make up the next group. */
export function createGroups<Item, Result>({
  atOnce,
  most,
  key,
  work,
}: GroupsOptions<Item, Result>): Groups<Item, Result> {
  let waiting: Waiting<Item, Result>[] = []
  let underWay = 0

  function takeGroup(): Waiting<Item, Result>[] {
    const group = new Map<string, Waiting<Item, Result>>()
    const left: Waiting<Item, Result>[] = []
    for (const one of waiting) {
      const name = key(one.item)
      if (group.size === most || group.has(name)) left.push(one)
      else group.set(name, one)
    }
    waiting = left
    return [...group.values()]
  }

  async function serve(group: readonly Waiting<Item, Result>[]): Promise<void> {
    underWay++
    try {
      const results = await work(group.map(({ item }) => item))
      // The work keeps its word: a result for each.
      group.forEach(({ resolve }, index) => resolve(results[index] as Result))
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
    underWay--
    next()
  }

  function next(): void {
    while (underWay < atOnce && waiting.length > 0) void serve(takeGroup())
  }

  return {
    add(item) {
      const { promise, resolve, reject } = Promise.withResolvers<Result>()
      waiting.push({ item, resolve, reject })
      next()
      return promise
    },
  }
}
