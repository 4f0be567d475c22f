import t from 'tap'
import { internalApiPath } from '../../../server/http/api/paths.ts'
import { expecting, newRepository, startWorld } from './world.ts'

const digest = `sha256:${'a'.repeat(64)}`

t.test('a repository’s name becomes one segment, whatever follows it', async t => {
  const base = '/api/v1/repository'
  const paths: Record<string, string> = {
    '': '',
    '/': '',
    '/team/app': '/team%2Fapp',
    '/team/app/': '/team%2Fapp',
    '/team/a/b/c': '/team%2Fa%2Fb%2Fc',
    '/team/app/changevisibility': '/team%2Fapp/changevisibility',
    '/team/app/changestate/': '/team%2Fapp/changestate',
    '/team/app/tag/': '/team%2Fapp/tag',
    '/team/app/tag': '/team%2Fapp/tag',
    '/team/app/tag/1.0': '/team%2Fapp/tag/1.0',
    '/team/app/tag/1.0/restore': '/team%2Fapp/tag/1.0/restore',
    '/team/a/b/tag/tag': '/team%2Fa%2Fb/tag/tag',
    [`/team/app/manifest/${digest}`]: `/team%2Fapp/manifest/${digest}`,
    [`/team/app/manifest/${digest.replace(':', '%3A')}`]: `/team%2Fapp/manifest/${digest.replace(':', '%3A')}`,
    [`/team/app/manifest/${digest}/labels/`]: `/team%2Fapp/manifest/${digest}/labels`,
    [`/team/app/manifest/${digest}/labels/1`]: `/team%2Fapp/manifest/${digest}/labels/1`,
    '/team/app/permissions/user/': '/team%2Fapp/permissions/user',
    '/team/app/permissions/user/a+b/transitive': '/team%2Fapp/permissions/user/a+b/transitive',
    '/team/app/permissions/team/x': '/team%2Fapp/permissions/team/x',
    // The words are names where nothing else comes of them.
    '/team/tag': '/team%2Ftag',
    '/team/tag/tag': '/team%2Ftag/tag',
    '/team/tag/x': '/team%2Ftag%2Fx',
    '/team/app/manifest': '/team%2Fapp%2Fmanifest',
    '/team/app/manifest/latest': '/team%2Fapp%2Fmanifest%2Flatest',
    '/team/app/permissions': '/team%2Fapp%2Fpermissions',
    '/team/a/tag/b/tag/': '/team%2Fa%2Ftag%2Fb/tag',
    // An encoded name says where it ends.
    '/team%2Fapp': '/team%2Fapp',
    '/team%2fapp/tag/': '/team%2Fapp/tag',
    '/team%2Fapp%2Ftag': '/team%2Fapp%2Ftag',
    '/team%2Fapp%2Ftag/tag/x': '/team%2Fapp%2Ftag/tag/x',
    '/team/app%2Ftag': '/team%2Fapp%2Ftag',
    '/team%252Fapp/x': '/team%252Fapp%2Fx',
    '/team/%zz': '/team%2F%25zz',
  }
  for (const [given, expected] of Object.entries(paths)) t.equal(internalApiPath(base + given), base + expected, given)
  t.equal(internalApiPath(`${base}/team/app//`), `${base}/team/app/`, 'goes to no route')
})

t.test('the starred repositories and other paths take both spellings', async t => {
  const starred = '/api/v1/user/starred'
  t.equal(internalApiPath(starred), starred)
  t.equal(internalApiPath(`${starred}/`), starred)
  t.equal(internalApiPath(`${starred}/team/a/b/`), `${starred}/team%2Fa%2Fb`)
  t.equal(internalApiPath(`${starred}/team%2Fapp`), `${starred}/team%2Fapp`)
  t.equal(internalApiPath('/api/v1/user/'), '/api/v1/user')
})

t.test('repositories are asked for by all these spellings', async t => {
  const { clients } = await startWorld(t)
  const { owner } = clients
  for (const repository of ['a/b', 'tag', 'app/tag'])
    await expecting(201, owner.post('/repository/', { ...newRepository, namespace: 'team', repository }))
  for (const [path, name] of Object.entries({
    '/repository/team/a/b': 'a/b',
    '/repository/team/a/b/': 'a/b',
    '/repository/team%2Fa%2Fb': 'a/b',
    '/repository/team/tag': 'tag',
    '/repository/team%2Fapp%2Ftag/': 'app/tag',
  }))
    t.match(await owner.get(path), { status: 200, body: { namespace: 'team', name } }, path)
  t.match((await owner.get('/repository/team/app/tag/')).body, { page: 1 }, 'the tags of team/app')
  t.match((await owner.get('/repository/team/app/tag')).body, { page: 1 })
  for (const path of [
    '/repository/team/app//',
    '/repository/team/%zz',
    '/repository/team/app/tag/a/b/c',
    '/repository/team/..%2Fapp',
  ])
    t.equal((await owner.get(path)).status >= 400, true, path)
})
