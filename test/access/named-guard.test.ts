import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import t, { type Test } from 'tap'
import { openAccessRules } from '../../server/access/access-rules.ts'
import type { Actor } from '../../server/access/actor.ts'
import type { Caller } from '../../server/access/guard.ts'
import { openHtpasswd } from '../../server/access/htpasswd-users.ts'
import { createLoginLimits } from '../../server/access/login-limits.ts'
import { createNamedGuard } from '../../server/access/named-guard.ts'
import { createPasswords } from '../../server/access/passwords.ts'
import { silentLog } from '../../server/lib/log.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'

const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
const certificate = { name: 'machine', groups: ['machines'] }
const caller = (authorization?: string, rest: Partial<Caller> = {}): Caller => ({
  authorization,
  address: '192.0.2.1',
  certificate: undefined,
  ...rest,
})
const alice: Actor = { kind: 'named', name: 'alice', groups: [] }
const anonymous: Actor = { kind: 'anonymous' }
const app = parseRepositoryName('team/app')

const text = `
groups: {machines: []}
rules:
  - {groups: machines, repositories: '**', actions: [pull]}
`

async function passwordsFor(t: Test) {
  const passwords = createPasswords()
  t.teardown(() => passwords[Symbol.asyncDispose]())
  const path = join(t.testdir(), 'users')
  writeFileSync(path, `alice:${hashSync('secret', 4)}\n`)
  const users = await openHtpasswd({ path, passwords, log: silentLog })
  return { users, limits: createLoginLimits(), realm: 'R' }
}

const rulesFile = join(t.testdir({ 'access.yml': text }), 'access.yml')
const openRules = () => openAccessRules({ path: rulesFile, log: silentLog })

t.test('a right password is a name, and takes no promise from then on', async t => {
  const guard = createNamedGuard({ passwords: await passwordsFor(t) })
  const first = guard.identify(caller(basic('alice', 'secret')))
  t.ok(first instanceof Promise)
  t.strictSame(await first, alice)
  t.strictSame(guard.identify(caller(basic('alice', 'secret'))), alice)
  t.strictSame(guard.identify(caller()), anonymous)
  t.strictSame(guard.challenge, { scheme: 'Basic', realm: 'R' })
})

t.test('what is wrong is refused with the same words, where no name is needed too', async t => {
  const guard = createNamedGuard({ passwords: await passwordsFor(t) })
  const refusal = { code: 'UNAUTHORIZED', message: 'the user name or the password is wrong' }
  for (const authorization of [
    basic('alice', 'wrong'),
    basic('nobody', 'secret'),
    basic('', 'secret'),
    basic('alice', ''),
    'Bearer x',
    'Basic %%%',
    'Digest x',
    'Basic',
  ])
    await t.rejects(async () => guard.identify(caller(authorization)), refusal, authorization)
})

t.test('an empty name with an empty password says nothing, as Podman means it', async t => {
  const guard = createNamedGuard({ passwords: await passwordsFor(t) })
  t.strictSame(guard.identify(caller(basic('', ''))), anonymous)
})

t.test('who guesses has to wait, and whose password is known has not', async t => {
  const guard = createNamedGuard({ passwords: await passwordsFor(t) })
  await guard.identify(caller(basic('alice', 'secret')))
  for (let failure = 0; failure < 5; failure++)
    await t.rejects(async () => guard.identify(caller(basic('alice', 'wrong'))), { code: 'UNAUTHORIZED' })
  await t.rejects(async () => guard.identify(caller(basic('alice', 'wrong'))), {
    code: 'TOOMANYREQUESTS',
    headers: { 'retry-after': /^\d+$/ },
  })
  t.strictSame(guard.identify(caller(basic('alice', 'secret'))), alice)
  await t.rejects(
    async () => guard.identify(caller(basic('alice', 'wrong'), { address: '192.0.2.2' })),
    { code: 'UNAUTHORIZED' },
    'from elsewhere it is another count',
  )
})

t.test('without rules whoever has a password may do everything, and no one else anything', async t => {
  const guard = createNamedGuard({ passwords: await passwordsFor(t) })
  for (const action of ['pull', 'push', 'delete'] as const) {
    t.equal(guard.may(alice, action, app), true)
    t.equal(guard.may(anonymous, action, app), false)
  }
  t.strictSame(guard.visible(alice), { kind: 'all' })
  t.equal(guard.visible(anonymous), undefined)
  t.strictSame(guard.identify(caller(undefined, { certificate })), anonymous, 'a certificate is no password')
})

t.test('with rules the holder of a certificate has a name and groups; a password says more', async t => {
  const guard = createNamedGuard({ passwords: await passwordsFor(t), rules: openRules() })
  const machine = await guard.identify(caller(undefined, { certificate }))
  t.strictSame(machine, { kind: 'named', ...certificate })
  t.equal(guard.may(machine, 'pull', app), true)
  t.equal(guard.may(machine, 'push', app), false)
  t.equal(guard.may(alice, 'pull', app), false)
  t.strictSame(await guard.identify(caller(basic('alice', 'secret'), { certificate })), alice)
  t.strictSame(await guard.identify(caller(basic('', ''), { certificate })), machine)
  await t.rejects(async () => guard.identify(caller(basic('alice', 'wrong'), { certificate })), {
    code: 'UNAUTHORIZED',
  })
})

t.test('without passwords certificates alone are names, and credentials are told to be of no use', async t => {
  const guard = createNamedGuard({ rules: openRules() })
  t.equal(guard.challenge, undefined)
  t.strictSame(guard.identify(caller(undefined, { certificate })), { kind: 'named', ...certificate })
  t.strictSame(guard.identify(caller()), anonymous)
  for (const authorization of [basic('alice', 'secret'), 'Bearer x', 'Digest x'])
    await t.rejects(async () => guard.identify(caller(authorization, { certificate })), {
      code: 'DENIED',
      message: /by client certificates alone/,
    })
})
