import t from 'tap'
import { parseTokenScopes } from '../../server/access/token-scopes.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'

const hosts = ['registry.example.com', 'registry.example.com:5000', 'localhost:5000', 'berth']
const repository = (name: string, ...actions: string[]) => ({
  type: 'repository',
  repository: parseRepositoryName(name),
  actions,
})

t.test('scopes are read as clients write them', async t => {
  const rows: [string, unknown[]][] = [
    ['repository:team/app:pull', [repository('team/app', 'pull')]],
    ['repository:team/app:pull,push', [repository('team/app', 'pull', 'push')]],
    ['repository:app:push,pull,pull,delete', [repository('app', 'push', 'pull', 'delete')]],
    ['repository:a/b/c/d:*', [repository('a/b/c/d', '*')]],
    ['repository(plugin):team/app:pull', [repository('team/app', 'pull')]],
    ['repository:team/app:', [repository('team/app')]],
    ['repository:team/app:admin,pull', [repository('team/app', 'pull')]],
    ['registry:catalog:*', [{ type: 'catalog' }]],
    ['registry:catalog:read', [{ type: 'other' }]],
    ['registry:other:*', [{ type: 'other' }]],
    ['artifact:team/app:pull', [{ type: 'other' }]],
    ['repository:Team/App:pull', [{ type: 'other' }]],
    ['repository::pull', [{ type: 'other' }]],
    ['', []],
    ['  ', []],
    ['repository:a/b:pull  repository:c/d:pull,push', [repository('a/b', 'pull'), repository('c/d', 'pull', 'push')]],
  ]
  for (const [text, expected] of rows) t.strictSame(parseTokenScopes([text], hosts), expected, text)
  t.strictSame(parseTokenScopes(['repository:a/b:pull', 'repository:c/d:pull'], hosts), [
    repository('a/b', 'pull'),
    repository('c/d', 'pull'),
  ])
})

t.test('a host before the name is that of this registry, or belongs to the name', async t => {
  const rows: [string, unknown][] = [
    ['repository:registry.example.com/team/app:pull', repository('team/app', 'pull')],
    ['repository:registry.example.com:5000/team/app:pull', repository('team/app', 'pull')],
    ['repository:localhost:5000/app:pull', repository('app', 'pull')],
    ['repository:other.example.com/team/app:pull', repository('other.example.com/team/app', 'pull')],
    ['repository:other.example.com:5000/team/app:pull', { type: 'other' }],
    // What looks like a namespace is one.
    ['repository:berth/app:pull', repository('berth/app', 'pull')],
  ]
  for (const [text, expected] of rows) t.strictSame(parseTokenScopes([text], hosts), [expected], text)
})

t.test('what is no scope is refused', async t => {
  const refused = { code: 'UNSUPPORTED', status: 400 }
  for (const text of ['repository', 'repository:team/app', ':team/app:pull', ':', 'a b', '::'])
    t.throws(() => parseTokenScopes([text], hosts), refused, text)
  t.throws(() => parseTokenScopes(Array(101).fill('repository:a/b:pull'), hosts), refused)
  t.equal(parseTokenScopes(Array(100).fill('repository:a/b:pull'), hosts).length, 100)
})
