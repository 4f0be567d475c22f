import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openAccessRules } from '../../server/access/access-rules.ts'
import type { Action } from '../../server/access/actor.ts'
import { silentLog } from '../../server/lib/log.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'
import { until } from '../http/connection.ts'

const text = `
groups:
  developers: [alice]
  machines: []
rules:
  - {anonymous: true, repositories: public/**, actions: pull}
  - {authenticated: true, repositories: base/*, actions: pull}
  - {groups: [developers, machines], repositories: team/**, actions: [pull, push]}
  - {users: bob, repositories: '**', actions: '*'}
  - {users: carol, repositories: team/app, actions: delete}
`

const names = ['public/a', 'base/a', 'team/app', 'other'].map(parseRepositoryName)
const actions: Action[] = ['pull', 'push', 'delete']

t.test('only what a rule allows to someone is allowed', async t => {
  const path = join(t.testdir({ access: text }), 'access')
  const { allow } = openAccessRules({ path, log: silentLog })
  const of = (name: string | undefined, groups: string[] = []) =>
    names.map(repository => actions.filter(action => allow(name, groups, action, repository)).join())
  t.strictSame(of(undefined), ['pull', '', '', ''])
  t.strictSame(of('stranger'), ['pull', 'pull', '', ''])
  t.strictSame(of('alice'), ['pull', 'pull', 'pull,push', ''], 'by the group of the file')
  t.strictSame(of('machine', ['machines']), ['pull', 'pull', 'pull,push', ''], 'by the group of a certificate')
  t.strictSame(of('machine', ['others']), ['pull', 'pull', '', ''])
  t.strictSame(of('bob'), Array(4).fill('pull,push,delete'))
  t.strictSame(of('carol'), ['pull', 'pull', 'delete', ''])
  t.strictSame(of(undefined, ['machines']), ['pull', '', '', ''], 'no group without a name')
  t.strictSame(of(''), ['pull', 'pull', '', ''])
})

t.test('one sees what one may pull', async t => {
  const path = join(t.testdir({ access: text, closed: 'rules: []' }), 'access')
  const { visible } = openAccessRules({ path, log: silentLog })
  const seen = (name: string | undefined) => {
    const found = visible(name, [])
    return found?.kind === 'some' ? names.filter(found.may) : found?.kind
  }
  t.strictSame(seen(undefined), ['public/a'])
  t.strictSame(seen('alice'), ['public/a', 'base/a', 'team/app'])
  t.strictSame(seen('carol'), ['public/a', 'base/a'])
  t.equal(seen('bob'), 'all')
  const closed = openAccessRules({ path: join(path, '../closed'), log: silentLog })
  t.equal(closed.visible(undefined, []), undefined, 'those without a name are asked for one')
  t.match(closed.visible('alice', []), { kind: 'some' })
})

t.test('changed rules count within a second or two; broken ones leave those before and are told', async t => {
  const path = join(t.testdir({ access: text }), 'access')
  const warnings: unknown[] = []
  const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) }
  const { allow } = openAccessRules({ path, log })
  const mayPull = () => allow('stranger', [], 'pull', parseRepositoryName('other'))
  t.equal(mayPull(), false)
  writeFileSync(path, 'rules:\n  - {authenticated: true, repositories: other, actions: pull}\n')
  await until(mayPull)
  writeFileSync(path, 'rules:\n  - {authenticated: true, repositories: other, actions: nothing}\n')
  await until(() => {
    mayPull()
    return warnings.length > 0
  })
  t.equal(mayPull(), true)
  t.match(warnings, [
    { file: path, setting: 'auth.access.path', reason: /^line 2: "nothing" is none of pull, push, delete/ },
  ])
})

t.test('rules that are broken at the start are told with all their mistakes', async t => {
  const path = join(t.testdir({ access: 'rules:\n  - {}\n' }), 'access')
  t.throws(() => openAccessRules({ path, log: silentLog }), {
    message: /^auth\.access\.path: the file \S+ can not be used: line 2: a rule says whom it is for: .*; line 2: /,
  })
})
