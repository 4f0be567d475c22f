import t from 'tap'
import { grantsOf } from '../../server/access/grants.ts'

/** As plain objects. */
function granted(access: unknown) {
  const { repositories, catalog } = grantsOf(access)
  return { catalog, ...Object.fromEntries([...repositories].map(([name, actions]) => [name, [...actions].join()])) }
}

t.test('entries of repositories and of the catalog are taken, several of one name together', async t => {
  t.strictSame(
    granted([
      { type: 'repository', name: 'a/b', actions: ['pull'] },
      { type: 'repository', class: 'plugin', name: 'c', actions: ['pull', 'push', 'delete', '*'] },
      { type: 'repository(plugin)', name: 'd', actions: ['pull'] },
      { type: 'repository', name: 'a/b', actions: ['push', 'pull'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ]),
    { 'a/b': 'pull,push', c: 'pull,push,delete,*', d: 'pull', catalog: true },
  )
})

t.test('what means nothing here is passed over', async t => {
  for (const access of [undefined, null, 'x', 1, {}, [], [null, 'x', 1, []]])
    t.strictSame(granted(access), { catalog: false })
  t.strictSame(
    granted([
      { type: 'repository', name: 'Bad', actions: ['pull'] },
      { type: 'repository', name: '../a', actions: ['pull'] },
      { type: 'repository', name: 7, actions: ['pull'] },
      { type: 'repository', name: 'none', actions: 'pull' },
      { type: 'repository', name: 'odd', actions: ['admin', 1, null, 'PULL'] },
      { type: 'registry', name: 'catalog', actions: ['pull'] },
      { type: 'registry', name: 'other', actions: ['*'] },
      { type: 'namespace', name: 'a', actions: ['*'] },
      { type: 'repository-x', name: 'a', actions: ['*'] },
    ]),
    { none: '', odd: '', catalog: false },
  )
})
