import t from 'tap'
import { createGroups } from '../../server/lib/groups.ts'

/** Work that is done when the test says so; each group it was called with. */
function heldWork() {
  const groups: (readonly string[])[] = []
  const ends: ((error?: Error) => void)[] = []
  const work = async (items: readonly string[]) => {
    groups.push(items)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    ends.push(error => (error === undefined ? resolve() : reject(error)))
    await promise
    return items.map(item => item.toUpperCase())
  }
  return { groups, work, end: (group: number, error?: Error) => ends[group]?.(error) }
}

const self = (item: string) => item

t.test('whoever asks first is served at once, those who ask meanwhile together', async t => {
  const { groups, work, end } = heldWork()
  const { add } = createGroups({ atOnce: 1, most: 10, key: self, work })
  const results = ['a', 'b', 'c'].map(add)
  t.same(groups, [['a']])
  end(0)
  t.equal(await results[0], 'A')
  t.same(groups, [['a'], ['b', 'c']])
  end(1)
  t.same(await Promise.all(results), ['A', 'B', 'C'], 'each gets its own result')
})

t.test('so many groups are under way at a time, and so many items in one', async t => {
  const { groups, work, end } = heldWork()
  const { add } = createGroups({ atOnce: 2, most: 2, key: self, work })
  const results = ['a', 'b', 'c', 'd', 'e'].map(add)
  t.same(groups, [['a'], ['b']])
  end(1)
  await results[1]
  t.same(groups.slice(2), [['c', 'd']])
  end(0)
  await results[0]
  t.same(groups.slice(3), [['e']])
  end(2)
  end(3)
  await Promise.all(results)
})

t.test('two of the same key are not in one group', async t => {
  const { groups, work, end } = heldWork()
  const { add } = createGroups({ atOnce: 1, most: 10, key: self, work })
  const results = ['x', 'a', 'a', 'b', 'a'].map(add)
  for (const group of [0, 1, 2, 3]) {
    end(group)
    await new Promise(resolve => setImmediate(resolve))
  }
  t.same(groups, [['x'], ['a', 'b'], ['a'], ['a']])
  await Promise.all(results)
})

t.test('what fails fails for its group, and the next one is served', async t => {
  const { groups, work, end } = heldWork()
  const { add } = createGroups({ atOnce: 1, most: 10, key: self, work })
  const [first, ...others] = ['x', 'a', 'b'].map(add)
  end(0)
  await first
  const failing = Promise.all(others.map(one => t.rejects(one, /no database/)))
  const next = add('c')
  end(1, new Error('no database'))
  await failing
  t.same(groups.at(-1), ['c'])
  end(2)
  t.equal(await next, 'C')
})
